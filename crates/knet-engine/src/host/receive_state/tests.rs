//! Tests of what pings do to the receive state of one host.

use std::time::Duration;

use super::*;

fn number(n: u16) -> SequenceNumber {
    SequenceNumber::new(n)
}

/// A host with two links, and the clock.
struct Receiver {
    state: ReceiveState,
    links: [Heard; 2],
    reachable: bool,
    pool: BufferPool,
    now: Instant,
}

impl Receiver {
    fn new() -> Self {
        Self {
            state: ReceiveState::default(),
            links: Default::default(),
            reachable: true,
            pool: BufferPool::default(),
            now: Instant::now(),
        }
    }

    /// A host that sent message 100 and announced it by pings.
    fn after_message_100() -> Self {
        let mut receiver = Self::new();
        assert!(receiver.delivers(100));
        receiver.pass(STRAGGLER_TIME);
        for link in [0, 1] {
            assert!(receiver.ping_on(link, 100));
        }
        receiver
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn lose(&mut self) {
        self.reachable = false;
        self.state.host_lost(self.now);
    }

    /// Returns `true` if a message with this number is new.
    fn delivers(&mut self, n: u16) -> bool {
        self.delivers_on(0, n)
    }

    fn delivers_on(&mut self, link: usize, n: u16) -> bool {
        if !self.state.handle_data(self.now, number(n), self.links[link]) {
            return false;
        }
        let new = !self.state.window.check_delivered(number(n)).is_seen();
        self.state.window.mark_delivered(number(n));
        new
    }

    /// Returns `true` if a timed ping with this number is answered.
    fn ping(&mut self, n: u16) -> bool {
        self.ping_on(0, n)
    }

    fn ping_on(&mut self, link: usize, n: u16) -> bool {
        self.handle(link, n, true)
    }

    fn forced(&mut self, n: u16) -> bool {
        self.handle(0, n, false)
    }

    fn handle(&mut self, link: usize, n: u16, timed: bool) -> bool {
        let (heard, pool) = (&mut self.links[link], &mut self.pool);
        self.state.handle_ping(self.now, number(n), timed, heard, self.reachable, pool)
    }
}

#[test]
fn a_duplicate_is_still_one_when_the_same_process_is_back() {
    for sequence in [100, 101, 5000, 32_000] {
        let mut receiver = Receiver::after_message_100();
        receiver.lose();
        receiver.pass(STRAGGLER_TIME);
        assert!(receiver.ping(sequence));
        assert!(!receiver.delivers(100), "ping with {sequence}");
    }
}

#[test]
fn a_restarted_process_may_use_its_numbers_again() {
    for sequence in [0, 1, 40] {
        let mut receiver = Receiver::after_message_100();
        receiver.lose();
        receiver.pass(STRAGGLER_TIME);
        assert!(receiver.ping(sequence), "one ping is enough");
        assert!(receiver.delivers(100), "ping with {sequence}");
    }
}

#[test]
fn a_ping_from_before_the_loss_decides_nothing() {
    let mut receiver = Receiver::new();
    for n in 1..=100 {
        receiver.delivers(n);
    }
    receiver.lose();
    receiver.pass(STRAGGLER_TIME / 2);
    receiver.ping(99);
    assert!(!receiver.delivers(100));
    receiver.pass(STRAGGLER_TIME / 2);
    receiver.ping(40);
    assert!(receiver.delivers(100));
}

#[test]
fn newer_data_does_not_make_a_ping_look_old() {
    let mut receiver = Receiver::after_message_100();
    receiver.lose();
    receiver.pass(STRAGGLER_TIME);
    assert!(receiver.delivers(300));
    assert!(receiver.ping(250));
    assert!(!receiver.delivers(300));
}

#[test]
fn pings_of_a_lost_host_do_not_hide_a_later_restart() {
    let mut receiver = Receiver::after_message_100();
    receiver.lose();
    for _ in 0..3 {
        receiver.pass(STRAGGLER_TIME);
        assert!(receiver.ping(100));
    }
    receiver.pass(STRAGGLER_TIME);
    assert!(receiver.ping(40));
    assert!(receiver.delivers(100));
}

#[test]
fn a_late_start_within_a_second_of_the_first_message_forgets_nothing() {
    let mut receiver = Receiver::new();
    assert!(receiver.ping(0));
    assert!(receiver.delivers(1));
    receiver.pass(STRAGGLER_TIME - Duration::from_millis(1));
    for link in [0, 1, 0, 1] {
        assert!(!receiver.ping_on(link, 0), "nobody needs an answer to it");
    }
    assert!(!receiver.delivers(1));
}

#[test]
fn the_second_start_after_that_shows_a_restart() {
    let mut receiver = Receiver::new();
    assert!(receiver.delivers(1));
    receiver.pass(STRAGGLER_TIME);
    assert!(!receiver.ping(0));
    assert!(!receiver.delivers(1));
    assert!(receiver.ping(0));
    assert!(receiver.delivers(1));
}

#[test]
fn whatever_shows_that_the_numbers_go_on_removes_the_suspicion() {
    let signs: [fn(&mut Receiver); 4] = [
        |receiver| assert!(receiver.ping(100)),
        |receiver| assert!(receiver.ping_on(1, 101)),
        |receiver| assert!(receiver.forced(101)),
        |receiver| assert!(receiver.delivers(101)),
    ];
    for sign in signs {
        for old in [0, 40] {
            let mut receiver = Receiver::after_message_100();
            for _ in 0..10 {
                receiver.pass(STRAGGLER_TIME);
                assert!(!receiver.ping(old));
                sign(&mut receiver);
                receiver = Receiver { now: receiver.now, ..Receiver::after_message_100() };
            }
            assert!(!receiver.delivers(100));
        }
    }
}

#[test]
fn a_restart_is_noticed_once_however_many_links_report_it() {
    let mut receiver = Receiver::after_message_100();
    for restart in 0..3 {
        receiver.pass(STRAGGLER_TIME);
        let answers = [0, 1, 0, 1, 0].map(|link| receiver.ping_on(link, 0));
        assert_eq!(answers, [false, true, true, true, true], "restart {restart}");
        assert!(receiver.delivers(1), "restart {restart}");
        assert!(!receiver.ping_on(1, 0), "late");
        assert!(!receiver.delivers(1), "restart {restart}");
        assert!(receiver.ping_on(1, 1));
    }
}

#[test]
fn what_a_link_carries_before_the_first_ping_of_the_next_process_is_late() {
    let mut receiver = Receiver::after_message_100();
    receiver.pass(STRAGGLER_TIME);
    assert!(!receiver.ping(0));
    assert!(receiver.ping(0));
    assert!(!receiver.delivers_on(1, 1));
    assert!(!receiver.ping_on(1, 100));
    assert!(receiver.delivers_on(0, 1), "the number is free");
    assert!(!receiver.ping_on(1, 0), "late, or the next restart");
    assert!(receiver.ping_on(1, 1) || !receiver.delivers_on(1, 2));
    receiver.pass(STRAGGLER_TIME);
    assert!(receiver.ping_on(1, 1));
    assert!(receiver.delivers_on(1, 2));
}

#[test]
fn late_starts_of_a_successor_with_higher_numbers_forget_nothing() {
    let mut receiver = Receiver::after_message_100();
    receiver.pass(STRAGGLER_TIME);
    assert!(!receiver.ping_on(0, 0));
    // It has sent two hundred messages to others by its first ping on this link.
    assert!(receiver.ping_on(1, 200));
    assert!(receiver.delivers_on(1, 201));
    for _ in 0..3 {
        assert!(!receiver.ping_on(0, 0));
    }
    assert!(!receiver.delivers_on(1, 201));
}

#[test]
fn pings_of_a_fast_sender_are_late_at_most() {
    // 100 000 messages per second, all of them to others: a forced ping every 82 ms, and a timed
    // one with any number once per second and link.
    let mut receiver = Receiver::new();
    let mut sent = 0u64;
    let current = |sent: u64| (sent % 65_535 + 1) as u16;
    for step in 0..2000u64 {
        receiver.pass(Duration::from_micros(81_910));
        sent += 8191;
        assert!(receiver.forced(current(sent)), "step {step}");
        if step % 12 < 2 {
            let late = step * 4099 % 8191;
            assert!(receiver.ping_on((step % 2) as usize, current(sent - late)), "step {step}");
        }
        assert!(receiver.handle(1, current(sent - 4100), false), "41 ms late");
    }
    assert_eq!(receiver.state.window.generation(), 0);
}

#[test]
fn a_host_that_lost_track_follows_again() {
    // The peer has sent 40 000 messages to others, and all forced pings were lost.
    let mut receiver = Receiver::after_message_100();
    receiver.pass(STRAGGLER_TIME);
    assert!(receiver.delivers(40_101));
    assert!(!receiver.ping(40_101));
    assert!(receiver.ping(40_101));
    assert!(receiver.delivers(40_102));
    assert!(!receiver.delivers(40_102));
}

#[test]
fn a_forced_zero_is_no_message_number() {
    let mut receiver = Receiver::after_message_100();
    receiver.pass(STRAGGLER_TIME);
    for _ in 0..3 {
        assert!(receiver.forced(0));
    }
    assert!(!receiver.delivers(100));
}

#[test]
fn a_host_that_gets_no_data_follows_the_numbers_of_its_peer() {
    let mut receiver = Receiver::new();
    assert!(receiver.delivers(1));
    // The peer sends 65535 messages to others; then its counter is back at 1.
    for burst in 1..=8 {
        assert!(receiver.forced(burst * 8191));
    }
    assert!(receiver.delivers(1));
    assert!(!receiver.delivers(1));
}

#[test]
fn pings_of_a_link_that_is_seconds_late_make_no_duplicate_new() {
    let mut receiver = Receiver::after_message_100();
    for n in 101..=200 {
        assert!(receiver.delivers_on(0, n));
        receiver.pass(STRAGGLER_TIME / 20);
        assert!(receiver.ping_on(0, n));
    }
    for n in [110, 120, 130] {
        assert!(receiver.ping_on(1, n));
        receiver.pass(STRAGGLER_TIME / 4);
    }
    for n in 101..=200 {
        assert!(!receiver.delivers_on(1, n), "{n} comes again, over the slower link");
    }
}
