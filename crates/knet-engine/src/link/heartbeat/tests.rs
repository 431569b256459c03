//! Tests of the heartbeat.

use proptest::prelude::*;

use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn pong_count_pongs_are_enough() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    heartbeat.set_pong_count(3);
    let verdicts: Vec<_> = (1..=4)
        .map(|n| heartbeat.pong_received(start + ms(n * 1000 + 10), start + ms(n * 1000)))
        .collect();
    assert_eq!(verdicts, [Pong::Counted, Pong::Counted, Pong::Enough, Pong::Enough]);
}

#[test]
fn a_duplicate_of_a_pong_counts_once() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    assert_eq!(heartbeat.pong_received(start + ms(5), start), Pong::Counted);
    assert_eq!(heartbeat.pong_received(start + ms(6), start), Pong::Stale);
    assert_eq!(heartbeat.good_pongs(), 1);
}

#[test]
fn a_pong_slower_than_the_timeout_is_a_sign_of_life_only() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    assert_eq!(heartbeat.pong_received(start + ms(2001), start), Pong::Late);
    assert_eq!(heartbeat.good_pongs(), 0);
    assert_eq!(heartbeat.latency().samples(), 0);
    assert_eq!(heartbeat.last_pong(), Some(start + ms(2001)));
}

#[test]
fn patience_shrinks_from_tenfold_to_one_timeout() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    heartbeat.pong_received(start, start);
    // 10 x 2 s at the start, one step less each second: 20 - 2n <= n at n = 7.
    assert_eq!(heartbeat.expired(start + ms(6999)), None);
    assert_eq!(heartbeat.next_expiry(), Some(start + ms(7000)));
    assert_eq!(heartbeat.expired(start + ms(7000)), Some(ms(7000)));
    // Long after the start it is the timeout alone.
    let late = start + ms(60_000);
    heartbeat.pong_received(late, late);
    assert_eq!(heartbeat.next_expiry(), Some(late + ms(2000)));
}

#[test]
fn shorter_timers_begin_to_count_when_they_are_set() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    let set = start + ms(60_000);
    heartbeat.pong_received(set - ms(900), set - ms(900));
    heartbeat.set_timers(set, PingTimers { timeout: ms(200), ..PingTimers::default() });
    assert_eq!(heartbeat.expired(set), None);
    assert_eq!(heartbeat.next_expiry(), Some(set + ms(200)));
    assert_eq!(heartbeat.expired(set + ms(200)), Some(ms(1100)), "the age of the pong");
}

#[test]
fn a_ping_that_is_not_answered_is_followed_by_others_soon() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    heartbeat.ping_sent(start);
    assert_eq!(heartbeat.next_ping(start), Some(start + ms(250)), "the first ping");
    let start = start + ms(250);
    heartbeat.ping_sent(start);
    assert_eq!(heartbeat.next_ping(start), Some(start + ms(1000)), "a link that is down");
    heartbeat.pong_received(start + ms(20), start);
    assert_eq!(heartbeat.next_ping(start), Some(start + ms(1000)));
    for n in 0..4 {
        let sent = start + ms(1000 + 250 * n);
        heartbeat.ping_sent(sent);
        assert_eq!(heartbeat.next_ping(sent), Some(sent + ms(250)));
    }
    heartbeat.pong_received(start + ms(1770), start + ms(1750));
    assert_eq!(heartbeat.next_ping(start), Some(start + ms(2750)));
    heartbeat.restart(start);
    heartbeat.ping_sent(start + ms(3000));
    assert_eq!(heartbeat.next_ping(start), Some(start + ms(4000)), "it went down");
}

#[test]
fn an_answer_is_not_missed_before_it_can_be_there() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    heartbeat.pong_received(start + ms(300), start);
    heartbeat.ping_sent(start + ms(1000));
    assert_eq!(heartbeat.next_ping(start), Some(start + ms(1600)));
    let quick = PingTimers { interval: ms(20), ..PingTimers::default() };
    heartbeat.set_timers(start, quick);
    assert_eq!(heartbeat.next_ping(start), Some(start + ms(1020)), "never later than else");
}

#[test]
fn a_stall_of_the_driver_does_not_count_as_silence() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    let pong = start + ms(60_000);
    heartbeat.pong_received(pong, pong);
    heartbeat.add_stall(pong + ms(31_000), ms(30_000));
    assert_eq!(heartbeat.expired(pong + ms(31_000)), None);
    assert_eq!(heartbeat.next_expiry(), Some(pong + ms(32_000)));
    heartbeat.pong_received(pong + ms(31_000), pong + ms(31_000));
    assert_eq!(heartbeat.next_expiry(), Some(pong + ms(33_000)), "it is over with a pong");
    // Before the pong the loop was late, too, but that has nothing to do with the time since.
    heartbeat.add_stall(pong + ms(31_500), ms(31_500));
    assert_eq!(heartbeat.next_expiry(), Some(pong + ms(33_500)));
}

#[test]
fn timers_longer_than_the_clock_never_run_out() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new(start);
    let forever = PingTimers { interval: Duration::MAX, timeout: Duration::MAX, precision: 1 };
    heartbeat.set_timers(start, forever);
    heartbeat.ping_sent(start);
    heartbeat.pong_received(start, start);
    assert_eq!((heartbeat.next_ping(start), heartbeat.next_expiry()), (None, None));
}

#[test]
fn the_mean_latency_follows_the_formula_of_the_spec() {
    let mut latency = Latency::default();
    assert_eq!(latency.mean(), None);
    latency.add(Duration::from_micros(100), 2);
    assert_eq!(latency.mean(), Some(Duration::from_micros(100)));
    latency.add(Duration::from_micros(300), 2);
    assert_eq!(latency.mean(), Some(Duration::from_micros(200)));
    latency.add(Duration::from_micros(400), 2);
    assert_eq!(latency.mean(), Some(Duration::from_micros(300)));
    assert_eq!((latency.min(), latency.samples()), (Some(Duration::from_micros(100)), 2));
    assert_eq!(latency.max(), Some(Duration::from_micros(300)));
}

proptest! {
    /// The deadline handed to the driver is exactly the first moment at which the link expires.
    #[test]
    fn next_expiry_is_the_first_moment_of_expiry(
        timeout in 200u64..5000,
        set_at in 0u64..30_000,
        pong_at in 0u64..30_000,
        latency in 0u64..200,
    ) {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let timers = PingTimers { timeout: ms(timeout), ..PingTimers::default() };
        heartbeat.set_timers(start + ms(set_at), timers);
        let sent = start + ms(pong_at);
        heartbeat.pong_received(sent + ms(latency), sent);
        let expiry = heartbeat.next_expiry().unwrap();
        prop_assert!(heartbeat.expired(expiry).is_some());
        prop_assert!(heartbeat.expired(expiry - Duration::from_nanos(1)).is_none());
    }
}
