//! Tests of the states of a socket.

use proptest::prelude::*;

use super::*;

const FULL: SocketId = SocketId(1);
const OTHER: SocketId = SocketId(2);
const TIMEOUT: Duration = SEND_TIMEOUT;

impl Backpressure {
    fn is_empty(&self) -> bool {
        // A look-up forgets what is open.
        self.find(FULL, |_| ());
        !self.any.load(Relaxed) && self.sockets.lock().is_empty()
    }

    fn state(&self, id: SocketId) -> State {
        self.find(id, |socket| socket.state).unwrap_or(State::Open)
    }

    fn is_stuck(&self, id: SocketId) -> bool {
        matches!(self.state(id), State::Stuck { .. })
    }
}

#[test]
fn a_socket_that_took_nothing_is_stuck_until_it_takes_something() {
    let (sockets, start, error) = (Backpressure::new(TIMEOUT), Instant::now(), NoRoom::Socket);
    for id in [FULL, OTHER] {
        assert_eq!(sockets.admit(id), Admission::Send);
        let retry = sockets.block(id, error, start).expect("it is blocked");
        assert!(retry.latest > start && retry.when_writable);
    }
    sockets.record_progress(OTHER);
    let late = start + TIMEOUT;
    assert_eq!(sockets.block_again(FULL, error, start, late), None, "it has expired");
    assert!(sockets.block_again(OTHER, error, start, late).is_some());
    sockets.end(OTHER);
    assert!(sockets.is_stuck(FULL) && !sockets.is_stuck(OTHER));

    assert_eq!(sockets.admit(FULL), Admission::Send, "nobody waits, so it is tried");
    assert_eq!(sockets.block(FULL, error, late), None, "it is dropped at once");
    sockets.record_progress(FULL);
    assert!(!sockets.is_stuck(FULL));
    assert!(sockets.is_empty());
}

#[test]
fn a_device_that_takes_what_is_queued_is_not_stuck() {
    let (sockets, start) = (Backpressure::new(TIMEOUT), Instant::now());
    let again = |drains, after: u32| {
        let cause = NoRoom::Queue { drains };
        sockets.block_again(FULL, cause, start, start + after * TIMEOUT).is_some()
    };
    let _ = sockets.block(FULL, NoRoom::Queue { drains: false }, start);
    assert!(again(true, 2) && again(true, 4));
    assert!(!again(false, 5), "it has stopped");
    assert!(sockets.is_stuck(FULL));
}

#[test]
fn only_a_full_socket_reports_that_it_has_room() {
    let now = Instant::now();
    let retry = |cause| RetryAt::after(cause, now);
    assert!(retry(NoRoom::Socket).when_writable);
    assert!(!retry(NoRoom::Device).when_writable);
    assert!(!retry(NoRoom::Queue { drains: true }).when_writable);
    assert!(retry(NoRoom::Device).latest < retry(NoRoom::Socket).latest);
}

#[test]
fn new_packets_are_blocked_behind_those_that_are_blocked() {
    let (sockets, now, error) = (Backpressure::new(TIMEOUT), Instant::now(), NoRoom::Socket);
    let _ = sockets.block(FULL, error, now);
    assert_eq!(sockets.admit(FULL), Admission::Blocked);
    assert_eq!(sockets.admit(OTHER), Admission::Send);
    sockets.end(FULL);
    assert!(sockets.has_blocked(FULL), "the second one is");
    sockets.end(FULL);
    assert_eq!(sockets.admit(FULL), Admission::Send);
    assert!(sockets.is_empty());
}

#[test]
fn no_packet_expires_while_the_socket_takes_others() {
    let (sockets, start, error) = (Backpressure::new(TIMEOUT), Instant::now(), NoRoom::Socket);
    let _ = sockets.block(FULL, error, start);
    let just_before = start + TIMEOUT - Duration::from_micros(1);
    assert!(sockets.block_again(FULL, error, start, just_before).is_some());
    // Somebody else found room, a moment ago.
    sockets.record_progress(FULL);
    assert!(sockets.block_again(FULL, error, start, start + TIMEOUT).is_some());
    sockets.forget(FULL);
    assert!(sockets.is_empty());
}

#[test]
fn a_packet_that_others_overtake_expires_in_the_end() {
    let (sockets, start, error) = (Backpressure::new(TIMEOUT), Instant::now(), NoRoom::Socket);
    let _ = sockets.block(FULL, error, start);
    let turns = |n| start + n * TIMEOUT;
    // The socket takes others all the time.
    sockets.insert(FULL, |socket| socket.state = State::Full { moved: turns(MAX_TURNS + 1) });
    assert!(sockets.block_again(FULL, error, start, turns(MAX_TURNS - 1)).is_some());
    assert_eq!(sockets.block_again(FULL, error, start, turns(MAX_TURNS)), None);
    assert!(!sockets.is_stuck(FULL), "it takes packets");

    let patient = Backpressure::new(Duration::MAX);
    let _ = patient.block(FULL, error, start);
    assert!(patient.block_again(FULL, error, start, turns(1000)).is_some());
}

#[test]
fn control_packets_go_first_but_only_once() {
    let (sockets, now, error) = (Backpressure::new(TIMEOUT), Instant::now(), NoRoom::Socket);
    let late = now + CONTROL_HEAD_START;
    let _ = sockets.block(FULL, error, now);
    sockets.let_control_go_first(FULL, now);
    let Turn::Later(retry) = sockets.turn(FULL, now, now) else { panic!("data goes first") };
    assert!(!retry.when_writable, "the poller would report room at once");
    assert_eq!(sockets.turn(OTHER, now, now), Turn::Send);
    sockets.let_control_go_first(FULL, late);
    assert_eq!(sockets.turn(FULL, now, late), Turn::Send, "the socket took nothing since");
    sockets.record_progress(FULL);
    sockets.let_control_go_first(FULL, late);
    assert!(matches!(sockets.turn(FULL, now, late), Turn::Later(_)));
    sockets.make_room(FULL);
    assert!(sockets.is_empty());
}

#[test]
fn packets_expire_even_if_control_packets_always_go_first() {
    let (sockets, start, error) = (Backpressure::new(TIMEOUT), Instant::now(), NoRoom::Socket);
    let _ = sockets.block(FULL, error, start);
    let late = start + MAX_TURNS * TIMEOUT;
    sockets.let_control_go_first(FULL, late);
    assert_eq!(sockets.turn(FULL, start, late), Turn::Expired);
    assert!(!sockets.has_blocked(FULL));
}

#[test]
fn a_head_start_that_is_over_is_forgotten_without_being_asked_for() {
    let (sockets, now) = (Backpressure::new(TIMEOUT), Instant::now());
    sockets.let_control_go_first(FULL, now.checked_sub(CONTROL_HEAD_START).unwrap());
    assert_eq!(sockets.admit(OTHER), Admission::Send);
    assert!(sockets.is_empty());
}

#[test]
fn without_a_send_timeout_nothing_is_ever_blocked() {
    let sockets = Backpressure::new(Duration::ZERO);
    assert_eq!(sockets.block(FULL, NoRoom::Socket, Instant::now()), None);
    assert!(sockets.is_empty());
}

#[test]
fn the_timeout_starts_when_the_first_packet_is_blocked() {
    let (sockets, start, error) = (Backpressure::new(TIMEOUT), Instant::now(), NoRoom::Socket);
    sockets.let_control_go_first(FULL, start + 4 * TIMEOUT);
    let later = start + 2 * TIMEOUT;
    let _ = sockets.block(FULL, error, later);
    assert!(sockets.block_again(FULL, error, later, later).is_some());
    assert_eq!(sockets.block_again(FULL, error, later, later + TIMEOUT), None);
}

/// What may happen to a socket, in the hands of threads that keep to the rules: who is blocked goes on
/// until the packets have left or expired.
#[derive(Clone, Copy, Debug)]
enum Step {
    NewPackets,
    Retry { finds_room: bool },
    Control,
    Close,
    Time(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::NewPackets),
        5 => any::<bool>().prop_map(|finds_room| Step::Retry { finds_room }),
        1 => Just(Step::Control),
        1 => Just(Step::Close),
        3 => (1..300_u32).prop_map(Step::Time),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Every blocked batch is counted, and a socket without blocked packets is open or stuck.
    #[test]
    fn the_count_of_blocked_batches_is_that_of_the_threads(steps in steps()) {
        let (sockets, error) = (Backpressure::new(TIMEOUT), NoRoom::Socket);
        let mut now = Instant::now();
        // When each blocked batch was blocked, or last made progress.
        let mut blocked: Vec<Instant> = Vec::new();
        for step in steps {
            match step {
                Step::NewPackets => match sockets.admit(FULL) {
                    Admission::Blocked => {
                        prop_assert!(!blocked.is_empty());
                        blocked.push(now);
                    }
                    Admission::Send => {
                        prop_assert!(blocked.is_empty());
                        if sockets.block(FULL, error, now).is_some() {
                            blocked.push(now);
                        }
                    }
                },
                Step::Retry { finds_room } if !blocked.is_empty() => {
                    let since = blocked.remove(0);
                    match sockets.turn(FULL, since, now) {
                        Turn::Send if finds_room => {
                            sockets.record_progress(FULL);
                            sockets.end(FULL);
                        }
                        Turn::Send => {
                            if sockets.block_again(FULL, error, since, now).is_some() {
                                blocked.push(since);
                            }
                        }
                        Turn::Later(_) => blocked.push(since),
                        Turn::Expired => {}
                    }
                }
                Step::Retry { .. } => {}
                Step::Control => sockets.let_control_go_first(FULL, now),
                Step::Close => {
                    sockets.forget(FULL);
                    blocked.clear();
                }
                Step::Time(ms) => now += Duration::from_millis(ms.into()),
            }
            let counted = sockets.find(FULL, |socket| socket.blocked).unwrap_or(0);
            prop_assert_eq!(counted, blocked.len());
            if let State::Full { .. } = sockets.state(FULL) {
                prop_assert!(counted > 0);
            }
            if sockets.state(FULL) == State::Open {
                prop_assert_eq!(counted, 0);
            }
        }
        // However it goes, everything ends: the blocked expire at last.
        now += MAX_TURNS * TIMEOUT;
        for since in blocked {
            match sockets.turn(FULL, since, now) {
                Turn::Send => {
                    prop_assert_eq!(sockets.block_again(FULL, error, since, now), None);
                }
                Turn::Expired => {}
                Turn::Later(_) => prop_assert!(false, "it waits on"),
            }
        }
    }
}
