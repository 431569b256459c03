//! Checks after arbitrary sequences of reports, pongs, stalls and late timers.

use proptest::prelude::*;

use super::*;

const SPACING: Duration = Duration::from_millis(50);
const ERRNO: i32 = 111;

/// What happens to a link.
#[derive(Clone, Copy, Debug)]
enum Step {
    Report,
    Pong,
    Stall,
    /// Time passes. Timers are served this much too late.
    Wait {
        time: Duration,
        late: Duration,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let millis = |range| {
        (range, 0u64..20).prop_map(|(time, late)| Step::Wait {
            time: Duration::from_millis(time),
            late: Duration::from_millis(late),
        })
    };
    let step = prop_oneof![
        4 => Just(Step::Report),
        2 => Just(Step::Pong),
        1 => Just(Step::Stall),
        4 => millis(0u64..300),
        1 => millis(0u64..5000),
    ];
    prop::collection::vec(step, 0..200)
}

/// A check, and what was seen of it.
struct Run {
    now: Instant,
    check: ReportCheck,
    /// The pings since the latest pong, report or stall.
    pings: Vec<Instant>,
    all_pings: u32,
    reported: bool,
    gone: bool,
}

impl Run {
    fn new() -> Self {
        let (now, check) = (Instant::now(), ReportCheck::default());
        Self { now, check, pings: Vec::new(), all_pings: 0, reported: false, gone: false }
    }

    fn poll(&mut self) {
        match self.check.poll(self.now, SPACING) {
            CheckStep::None => {}
            CheckStep::Ping => {
                assert!(self.reported, "a ping without a report since the latest pong");
                self.pings.push(self.now);
                self.all_pings += 1;
            }
            CheckStep::Unanswered(errno) => {
                assert_eq!(errno, ERRNO);
                self.gone = true;
            }
        }
        assert!(self.gone || self.check.next_timeout(self.now).is_none_or(|at| at > self.now));
    }

    /// Serves the timers until then, each of them late.
    fn wait(&mut self, end: Instant, late: Duration) {
        while let Some(due) = self.check.next_timeout(self.now).filter(|&due| due + late <= end) {
            self.now = self.now.max(due + late);
            self.poll();
            if self.gone {
                return;
            }
        }
        self.now = self.now.max(end);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Report => {
                self.check.report(self.now, ERRNO);
                self.reported = true;
                self.poll();
            }
            Step::Pong => {
                self.check.pong(self.now);
                (self.pings, self.reported) = (Vec::new(), false);
            }
            Step::Stall => {
                self.check.start_over(self.now);
                self.pings.clear();
                self.poll();
            }
            Step::Wait { time, late } => self.wait(self.now + time, late),
        }
    }
}

proptest! {
    /// A link is given up only after four pings without a pong, and in time for each answer.
    #[test]
    fn no_peer_is_given_up_that_had_no_time_to_answer(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.take(step);
            if run.gone {
                prop_assert_eq!(run.pings.len(), 4);
                let gaps = run.pings.windows(2).map(|pair| pair[1] - pair[0]);
                let last = run.now - run.pings[3];
                prop_assert!(gaps.chain([last]).all(|gap| gap >= SPACING));
                break;
            }
        }
    }

    /// A peer that is silent from some moment on is given up at most 250 ms and a pause after the
    /// first report.
    #[test]
    fn a_peer_that_is_gone_is_given_up_in_time(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.take(step);
            if run.gone {
                return Ok(());
            }
        }
        let silent_since = run.now;
        run.take(Step::Report);
        run.wait(silent_since + Duration::from_secs(60), Duration::ZERO);
        prop_assert!(run.gone);
        prop_assert!(run.now <= silent_since + LONGEST_PAUSE + 4 * SPACING);
    }

    /// However many reports there are, the pings of checks that are answered at once stay few.
    #[test]
    fn reports_cost_few_pings(gaps in prop::collection::vec(0u64..200, 1..500)) {
        let mut run = Run::new();
        let start = run.now;
        for gap in gaps {
            let before = run.all_pings;
            run.take(Step::Report);
            if run.all_pings > before {
                run.take(Step::Pong);
            }
            // A check that waited for the end of a pause is answered as well.
            let end = run.now + Duration::from_millis(gap);
            while let Some(due) = run.check.next_timeout(run.now).filter(|&due| due <= end) {
                run.now = due;
                run.poll();
                run.take(Step::Pong);
            }
            run.now = end;
        }
        let seconds = (run.now - start).as_secs_f64();
        // Pauses of 100, 200 and 400 ms, then 800 ms each. A gap of a pause or more starts over.
        let most = 4.0 + seconds / 0.1;
        prop_assert!(f64::from(run.all_pings) <= most, "{} pings in {seconds} s", run.all_pings);
    }
}

#[test]
fn the_pause_grows_under_a_flood_and_shrinks_after_it() {
    let mut run = Run::new();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        run.take(Step::Report);
        let start = run.now;
        let due = run.check.next_timeout(run.now).unwrap_or(run.now);
        if run.pings.is_empty() {
            run.now = due;
            run.poll();
        }
        assert_eq!(run.pings.len(), 1);
        pauses.push((run.now - start).as_millis());
        run.take(Step::Pong);
    }
    assert_eq!(pauses, [0, 100, 200, 400, 800, 800]);
    run.now += Duration::from_secs(5);
    run.take(Step::Report);
    assert_eq!(run.pings.len(), 1, "at once");
    run.take(Step::Pong);
    run.take(Step::Report);
    assert_eq!(run.check.next_timeout(run.now), Some(run.now + FIRST_PAUSE));
}
