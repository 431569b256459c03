//! How fast a thread is woken up: `cargo bench -p knet-poller`.

use std::error::Error;
use std::os::unix::net::UnixDatagram;
use std::thread;

use divan::Bencher;
use knet_poller::{Events, Interest, Poller, Token};

fn main() {
    divan::main();
}

type Outcome = Result<(), Box<dyn Error>>;

/// A message to a thread that waits, and its answer.
#[divan::bench]
fn there_and_back(bencher: Bencher<'_, '_>) {
    turn_around(bencher).unwrap_or_else(|error| panic!("{error}"));
}

fn turn_around(bencher: Bencher<'_, '_>) -> Outcome {
    let (near, far) = UnixDatagram::pair()?;
    thread::scope(|scope| {
        let answering = scope.spawn(|| answer(&far).map_err(|error| error.to_string()));
        let poller = Poller::new()?;
        poller.add(&near, Token(1), Interest::READ)?;
        let mut events = Events::with_capacity(8);
        let mut buffer = [0; 8];
        bencher.bench_local(|| -> Outcome {
            near.send(b"ping")?;
            poller.wait(&mut events, None)?;
            near.recv(&mut buffer)?;
            Ok(())
        });
        near.send(b"end")?;
        answering.join().map_err(|_| "the other thread panicked")??;
        Ok(())
    })
}

/// Sends back what comes, until the end is said.
fn answer(far: &UnixDatagram) -> Outcome {
    let poller = Poller::new()?;
    poller.add(far, Token(1), Interest::READ)?;
    let mut events = Events::with_capacity(8);
    let mut buffer = [0; 8];
    loop {
        poller.wait(&mut events, None)?;
        match far.recv(&mut buffer)? {
            3 => return Ok(()),
            length => far.send(&buffer[..length])?,
        };
    }
}

/// A wake-up that is noticed by the thread that asked for it: the cost of the calls alone.
#[divan::bench]
fn wake_and_wait(bencher: Bencher<'_, '_>) {
    let made = Poller::new().map(|poller| (poller.waker(), poller));
    let Ok((waker, poller)) = made else { panic!("there is no poller to be had") };
    let mut events = Events::with_capacity(8);
    bencher.bench_local(|| waker.wake().and_then(|()| poller.wait(&mut events, None)));
}
