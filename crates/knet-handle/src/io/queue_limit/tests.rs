//! Tests of the limit against a simulated device, in virtual time.

use std::collections::VecDeque;

use super::*;

/// A device with a queue. The kernel charges for a packet until it has left.
struct Device {
    start: Instant,
    now: Duration,
    /// Bytes per second.
    rate: u64,
    /// The packets that wait: what is charged for each, and how many bytes of it are still to be sent.
    queue: VecDeque<(u64, f64)>,
    /// How many bytes have left.
    sent: f64,
}

impl Device {
    fn new(megabits: u64) -> Self {
        let rate = megabits * 125_000;
        Self { start: Instant::now(), now: Duration::ZERO, rate, queue: VecDeque::new(), sent: 0.0 }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let mut bytes = self.rate as f64 * time.as_secs_f64();
        while let Some((_, left)) = self.queue.front_mut().filter(|_| bytes > 0.0) {
            let some = left.min(bytes);
            *left -= some;
            bytes -= some;
            self.sent += some;
            if *left <= 0.0 {
                self.queue.pop_front();
            }
        }
    }

    fn queued(&self) -> Queued {
        let bytes = self.queue.iter().map(|&(charge, _)| charge).sum();
        Queued { bytes, at: self.start + self.now }
    }

    /// Returns how long a packet that is added now waits.
    fn delay(&self) -> Duration {
        let bytes: f64 = self.queue.iter().map(|&(_, left)| left).sum();
        Duration::from_secs_f64(bytes / self.rate as f64)
    }

    /// Sends as much as the limit permits: packets of this length, as one run if it permits several.
    fn send(&mut self, limit: &QueueLimit, length: usize, most: usize) -> usize {
        let count = match limit.room(|| Some(self.queued())) {
            Room::None { .. } => return 0,
            Room::Batch => most,
            Room::Bytes(bytes) => QueueLimit::fitting(bytes, std::iter::repeat_n(length, most)),
        };
        limit.record_sent(count, count * length);
        let charge = (count * (length + 900)) as u64;
        self.queue.push_back((charge, (count * length) as f64));
        count
    }

    /// Sends without a pause for this long, and retries as blocked packets are. Returns the longest delay.
    fn flood(&mut self, limit: &QueueLimit, length: usize, time: Duration) -> Duration {
        let (end, mut longest) = (self.now + time, Duration::ZERO);
        while self.now < end {
            while self.now < end && self.send(limit, length, 45) > 0 {
                longest = longest.max(self.delay());
                self.pass(Duration::from_micros(20));
            }
            self.pass(Duration::from_millis(1));
        }
        longest
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_packet_waits_for_a_fraction_of_a_second_and_the_device_is_never_idle() {
    for megabits in [1, 2, 5, 20, 50, 100, 1000] {
        for length in [100, 1400] {
            let (mut device, limit) = (Device::new(megabits), QueueLimit::default());
            let first = device.flood(&limit, length, SECOND);
            // Until the rate of a very slow device is known, it gets too much.
            assert!(first < Duration::from_millis(400), "{megabits} Mbit/s: {first:?} at first");
            let before = device.sent;
            let longest = device.flood(&limit, length, SECOND);
            assert!(longest < TARGET * 3 / 2, "{megabits} Mbit/s, {length} bytes: {longest:?}");
            let used = (device.sent - before) / device.rate as f64;
            assert!(used > 0.97, "{megabits} Mbit/s, {length} bytes: {used} of it used");
        }
    }
}

#[test]
fn the_limit_follows_a_rate_that_changes() {
    let (mut device, limit) = (Device::new(50), QueueLimit::default());
    device.flood(&limit, 1400, SECOND);
    for megabits in [5, 200, 20, 1000, 50] {
        device.rate = megabits * 125_000;
        device.flood(&limit, 1400, SECOND);
        let before = device.sent;
        let longest = device.flood(&limit, 1400, SECOND);
        assert!(longest < 2 * TARGET, "{megabits} Mbit/s: {longest:?}");
        let used = (device.sent - before) / device.rate as f64;
        assert!(used > 0.97, "{megabits} Mbit/s: {used} of it used");
    }
}

#[test]
fn a_fast_link_is_asked_about_once_per_quantum_and_never_limited() {
    let (limit, start) = (QueueLimit::default(), Instant::now());
    let (mut asked, mut sent) = (0, 0);
    for turn in 0..10_000_u64 {
        let at = start + Duration::from_micros(10 * turn);
        let room = limit.room(|| {
            asked += 1;
            Some(Queued { bytes: 0, at })
        });
        assert!(!matches!(room, Room::None { .. }));
        limit.record_sent(64, 64 * 1400);
        sent += 64 * (1400 + PACKET_OVERHEAD as u64);
    }
    assert!(asked < sent / QUANTUM + 10, "asked {asked} times");
}

#[test]
fn a_queue_that_shrinks_without_room_is_reported() {
    let (mut device, limit) = (Device::new(10), QueueLimit::default());
    while device.send(&limit, 1400, 45) > 0 {}
    assert_eq!(limit.room(|| Some(device.queued())), Room::None { drains: false });
    let more = (100_000, 100_000.0);
    device.queue.push_back(more);
    assert_eq!(limit.room(|| Some(device.queued())), Room::None { drains: false });
    device.pass(PATIENCE / 2);
    assert_eq!(limit.room(|| Some(device.queued())), Room::None { drains: true });
}

#[test]
fn what_waits_for_hosts_that_are_gone_is_set_aside() {
    let (mut device, limit) = (Device::new(20), QueueLimit::default());
    // It stays, whatever is sent to others. Pings add to it.
    let mut neighbours = 200_000;
    limit.record_unclaimed(200, 200 * 26, device.start);
    let mut idle = Duration::ZERO;
    let mut longest = Duration::ZERO;
    for milli in 0..3000 {
        if milli % 40 == 0 {
            neighbours += 800;
            limit.record_unclaimed(1, 26, device.start + device.now);
        }
        let queued = Queued { bytes: device.queued().bytes + neighbours, ..device.queued() };
        if let Room::Bytes(bytes) = limit.room(|| Some(queued)) {
            let count = QueueLimit::fitting(bytes, std::iter::repeat_n(1400, 45));
            limit.record_sent(count, count * 1400);
            device.queue.push_back(((count * 2300) as u64, (count * 1400) as f64));
        }
        longest = longest.max(device.delay());
        if milli >= 150 && device.queue.is_empty() {
            idle += Duration::from_millis(1);
        }
        device.pass(Duration::from_millis(1));
    }
    assert!(idle < Duration::from_millis(300), "the device was idle for {idle:?}");
    assert!(longest < 3 * TARGET, "a packet waited for {longest:?}");
}

#[test]
fn a_device_that_has_stopped_is_given_no_more() {
    let (mut device, limit) = (Device::new(20), QueueLimit::default());
    device.flood(&limit, 1400, SECOND);
    let before = device.queue.len();
    device.rate = 1;
    device.flood(&limit, 1400, 60 * SECOND);
    assert!(device.queue.len() <= before + 1);
    // Unless it is known to be stuck elsewhere, and only as much.
    limit.record_unclaimed(10, 260, device.start + device.now);
    let queued = |device: &Device| device.queued().bytes;
    let full = queued(&device);
    device.flood(&limit, 1400, SECOND);
    let more = queued(&device) - full;
    assert!(0 < more && more < 40_000, "{more} bytes more");
}

#[test]
fn a_socket_that_cannot_be_asked_has_no_limit() {
    let limit = QueueLimit::default();
    for _ in 0..100 {
        assert_eq!(limit.room(|| None), Room::Batch);
        limit.record_sent(64, 64 * 1400);
    }
}
