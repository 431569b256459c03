//! Three engines with four links between each pair, two of them dynamic at one end, and an attacker
//! who sees every packet: packets are lost, duplicated, reordered, truncated and changed, others
//! are forged, hosts move, links and access lists change, and time passes, and sometimes steps
//! back. No engine panics, requests a wake-up for work that it has just done, exceeds its limits,
//! or accepts packets from peers that it must not ([`admission`]).
#![no_main]

/// Shared with the property test: a second implementation of the engine's rules.
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
