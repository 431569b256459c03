//! Tests of what pings do to the receive state of one host.

use std::time::Duration;

use super::*;

fn number(n: u16) -> SequenceNumber {
    SequenceNumber::new(n)
}

/// After this time a process that just started repeats a ping that is not answered.
const REPEAT: Duration = Duration::from_millis(250);

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
    receiver.pass(REPEAT);
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
        let answers = [0, 1, 0].map(|link| receiver.ping_on(link, 0));
        assert_eq!(answers, [false; 3], "restart {restart}");
        receiver.pass(REPEAT);
        let answers = [0, 1, 0].map(|link| receiver.ping_on(link, 0));
        assert_eq!(answers, [true; 3], "restart {restart}");
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
    receiver.pass(REPEAT);
    assert!(receiver.ping(0));
    assert!(!receiver.delivers_on(1, 1));
    assert!(!receiver.ping_on(1, 100));
    assert!(receiver.delivers_on(0, 1), "the number is free");
    assert!(!receiver.ping_on(1, 0), "late, or the next restart");
    assert!(receiver.ping_on(1, 1) || !receiver.delivers_on(1, 2));
    // The process that ended had ended by the first of the two pings.
    receiver.pass(STRAGGLER_TIME - REPEAT);
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
    receiver.pass(REPEAT);
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
    // What waited for the hardware address of a neighbour comes all at once, or slowly.
    for spread in [Duration::ZERO, STRAGGLER_TIME / 4] {
        let mut receiver = Receiver::after_message_100();
        for n in 101..=200 {
            assert!(receiver.delivers_on(0, n));
            receiver.pass(STRAGGLER_TIME / 20);
            assert!(receiver.ping_on(0, n));
        }
        for n in [110, 120, 130] {
            receiver.ping_on(1, n);
            receiver.pass(spread);
        }
        for n in 101..=200 {
            assert!(!receiver.delivers_on(1, n), "{n} comes again, over the slower link");
        }
        assert!(receiver.ping_on(1, 200), "the link is not late any longer");
    }
}

#[test]
fn a_successor_whose_numbers_go_forward_on_each_link_is_not_answered_until_it_is_known() {
    let mut receiver = Receiver::after_message_100();
    for n in 101..=5000 {
        assert!(receiver.delivers_on(0, n));
    }
    receiver.pass(STRAGGLER_TIME);
    // Its pings with number 0 were lost, and it has sent more than its predecessor had by the latest
    // ping on this link.
    let give_up = receiver.now + STRAGGLER_TIME * 2;
    let mut next = 120;
    while !receiver.ping_on(1, next) {
        assert!(receiver.now < give_up);
        receiver.pass(REPEAT);
        next += 1;
    }
    for n in next + 1..next + 50 {
        assert!(receiver.delivers_on(1, n), "{n} is another message");
    }
}

#[test]
fn a_forged_number_once_per_second_keeps_no_host_unanswered_that_has_sent_nothing() {
    let mut receiver = Receiver::new();
    for step in 0..200 {
        if step % 4 == 0 {
            receiver.ping(5 + step);
        }
        receiver.pass(REPEAT / 2);
        assert!(receiver.ping(0), "step {step}");
        receiver.pass(REPEAT / 2);
    }
    assert!(receiver.delivers(1));
}

/// The longest time that a link of a peer with the default timers can do without answers: its pings
/// are repeated every quarter of a second, from one second after the latest answer on.
const LEFT_TO_A_LINK: Duration = Duration::from_secs(1);

#[test]
fn forged_pings_do_not_keep_a_host_that_sends_unanswered() {
    // Also by somebody who sees when the real host is answered.
    let forgeries: [&[i32]; 4] = [&[30_000, 0], &[0], &[0, 0], &[30_000, 30_000, 0]];
    for (nth, forgery) in forgeries.into_iter().enumerate() {
        for period in 1..12 {
            let mut receiver = Receiver::after_message_100();
            let mut unanswered = None;
            for step in 0..400u16 {
                let n = 101 + step;
                assert!(receiver.delivers(n), "forgery {nth}");
                if step % period == 0 {
                    for jump in forgery {
                        let number = if *jump == 0 { 0 } else { n.wrapping_add(*jump as u16) };
                        receiver.ping_on(1, number);
                    }
                }
                receiver.pass(REPEAT / 2);
                // The other link is a bit slower.
                if receiver.ping_on(1, n - 1) {
                    unanswered = None;
                }
                let since = *unanswered.get_or_insert(receiver.now);
                assert!(
                    receiver.now - since < LEFT_TO_A_LINK,
                    "forgery {nth}, period {period}, step {step}"
                );
                receiver.pass(REPEAT / 2);
            }
        }
    }
}

#[test]
fn forged_starts_back_to_back_discard_nothing_of_other_links() {
    let mut receiver = Receiver::after_message_100();
    for n in 101..200 {
        receiver.ping_on(1, 0);
        receiver.ping_on(1, 0);
        receiver.pass(Duration::from_millis(50));
        receiver.ping_on(1, 0);
        assert!(receiver.delivers(n), "{n}");
        assert!(!receiver.delivers(n - 1), "{n}");
        receiver.pass(Duration::from_millis(40));
    }
}

#[test]
fn forged_starts_discard_data_of_other_links_once_not_again_and_again() {
    let mut receiver = Receiver::after_message_100();
    let mut late = 0;
    for _ in 0..40 {
        receiver.ping_on(1, 0);
        receiver.pass(REPEAT);
        late += u32::from(!receiver.ping_on(0, 100));
    }
    assert!(late <= 4, "{late} of 40 pings were not answered");
    assert!(receiver.delivers(101));
}

#[test]
fn a_doubt_that_is_contradicted_later_than_packets_take_is_the_last_for_a_while() {
    let mut receiver = Receiver::after_message_100();
    assert!(!receiver.ping_on(1, 0));
    receiver.pass(Duration::from_millis(499));
    assert!(receiver.ping(100));
    assert!(!receiver.ping_on(1, 0), "the process may have ended by the first of them");
    receiver.pass(Duration::from_millis(1));
    assert!(receiver.ping(100));
    assert!(receiver.ping_on(1, 0));
    assert!(!receiver.delivers(100));
    receiver.pass(Duration::from_secs(60));
    assert!(receiver.ping(100));
    assert!(!receiver.ping_on(1, 0));
}

#[test]
fn late_packets_of_a_process_that_has_ended_do_not_hide_its_successor() {
    let mut receiver = Receiver::after_message_100();
    assert!(!receiver.ping(0));
    receiver.pass(REPEAT);
    assert!(receiver.delivers_on(1, 101), "on its way for a while");
    assert!(!receiver.ping(0));
    receiver.pass(STRAGGLER_TIME);
    assert!(receiver.ping(0));
    assert!(receiver.delivers(1));
}
