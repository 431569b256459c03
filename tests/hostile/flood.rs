//! A flood of more garbage than a host can read.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use knet_tests::process::resident_memory;
use knet_tests::wait::until;

use crate::attacker::{Attacker, PING, PONG, PROBE, data, ping, pmtu};
use crate::victim::Victim;

/// Packets of each attacker.
const PACKETS: usize = 60_000;

/// Sends from two attackers as fast as they can, and messages from host 2 for as long as that
/// lasts. The kernel drops packets when the socket is full, and counts them: no further message is
/// missing, and every packet of the flood is accounted for.
#[test]
fn a_flood_loses_only_messages_that_the_kernel_dropped() {
    let mut victim = Victim::new();
    victim.hear_from_friend();
    let addr = victim.addr();
    let (counted_before, memory) = (counted(&victim), resident_memory());
    assert_eq!(dropped_by_the_kernel(addr), 0);
    let running = AtomicUsize::new(2);
    let mut heard = Vec::new();
    let first = victim.send_from_friend();
    let mut last = first;
    thread::scope(|scope| {
        for (seed, ip) in [(1, Ipv4Addr::LOCALHOST), (2, Ipv4Addr::new(127, 0, 0, 66))] {
            let running = &running;
            scope.spawn(move || {
                flood(&Attacker::on(ip), addr, seed);
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while running.load(Ordering::SeqCst) > 0 {
            last = victim.send_from_friend();
            heard.extend(victim.heard());
        }
    });
    // The kernel has accepted or dropped every packet by now; the accepted ones wait to be read.
    let flooded = 2 * PACKETS as u64;
    until("the flood is read", || {
        heard.extend(victim.heard());
        let read = counted(&victim) - counted_before;
        read + dropped_by_the_kernel(addr) >= flooded
    });
    until("the messages are read", || {
        heard.extend(victim.heard());
        let missing = (last - first + 1) - heard.len() as u64;
        missing <= dropped_by_the_kernel(addr)
    });
    assert!(counted(&victim) - counted_before <= flooded, "each is counted once");
    let mut once = heard.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), heard.len(), "none arrived twice");
    let grown = resident_memory().saturating_sub(memory);
    assert!(grown < 200 << 20, "memory has grown by {grown} bytes");
    victim.is_well();
}

/// Sends garbage of all kinds, each of which the victim counts.
fn flood(attacker: &Attacker, victim: SocketAddr, seed: u64) {
    let mut dice = fastrand::Rng::with_seed(seed);
    for _ in 0..PACKETS {
        let mut noise = vec![0; dice.usize(1..1400)];
        dice.fill(&mut noise);
        let packet = match dice.u8(0..8) {
            0 => ping(PING, dice.u16(10..), dice.u8(0..8), 1),
            1 => ping(PING, 2, dice.u8(1..), 1),
            2 => ping(PONG, 2, 0, dice.u8(..)),
            3 => pmtu(PROBE, 2, dice.u8(1..)),
            4 => data(dice.u16(10..), dice.u16(..), dice.u8(..), dice.u8(..), &noise),
            5 => data(2, dice.u16(..), 255, dice.u8(..), &noise),
            _ => {
                noise[0] = dice.u8(2..);
                noise
            }
        };
        attacker.send(victim, &packet);
    }
}

/// Returns how many packets of attackers the victim has dropped.
fn counted(victim: &Victim) -> u64 {
    let drops = victim.drops();
    drops.malformed
        + drops.unknown_host
        + drops.unknown_link
        + drops.invalid_link
        + drops.wrong_source
        + drops.access_list
        + drops.forged_pong
}

/// Returns how many packets the kernel dropped because this socket was full.
fn dropped_by_the_kernel(addr: SocketAddr) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let port = format!(":{:04X}", addr.port());
    let of_socket =
        |line: &&str| line.split_whitespace().nth(1).is_some_and(|a| a.ends_with(&port));
    let lines = table.lines().filter(of_socket);
    lines.map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum()
}
