//! Three engines with four links between each two of them, two of which are dynamic at one end, and an
//! attacker who sees every packet: packets are lost, copied, reordered, cut and changed, others are made
//! up, hosts move, links and access lists change, and time goes on, and sometimes back. None panics, asks
//! to be woken for what it has just done, keeps more than it may, or listens to whom it may not
//! ([`admission`]).
#![no_main]

/// That of the property test, which knows the engine's rules a second time.
#[path = "../../../crates/knet-engine/tests/anything/admission.rs"]
mod admission;
#[path = "engine/places.rs"]
mod places;
#[path = "engine/step.rs"]
mod step;
#[path = "engine/world.rs"]
mod world;

use crate::places::HOSTS;
use crate::step::Steps;
use crate::world::World;

libfuzzer_sys::fuzz_target!(|steps: Steps| {
    let mut world = World::new();
    for step in steps.0 {
        world.take(step);
        for at in 0..HOSTS {
            world.drain(at);
        }
    }
});
