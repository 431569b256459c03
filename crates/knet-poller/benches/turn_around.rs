//! Latency of waking a thread: `cargo bench -p knet-poller`.

use std::error::Error;
use std::os::unix::net::UnixDatagram;
use std::thread;

use divan::Bencher;
use knet_poller::{Events, Interest, Poller, Token};

fn main() {
    divan::main();
}

type Outcome = Result<(), Box<dyn Error>>;

/// Sends a message to a waiting thread and waits for its answer.
#[divan::bench]
fn round_trip(bencher: Bencher<'_, '_>) {
    measure(bencher).unwrap_or_else(|error| panic!("{error}"));
}

fn measure(bencher: Bencher<'_, '_>) -> Outcome {
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

/// Echoes messages until one of three bytes ends it.
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

/// Wakes a poller and waits on it in the same thread: the cost of the calls alone.
#[divan::bench]
fn wake_and_wait(bencher: Bencher<'_, '_>) {
    let created = Poller::new().map(|poller| (poller.waker(), poller));
    let Ok((waker, poller)) = created else { panic!("cannot create a poller") };
    let mut events = Events::with_capacity(8);
    bencher.bench_local(|| waker.wake().and_then(|()| poller.wait(&mut events, None)));
}
