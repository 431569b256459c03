//! Rule 11 and the look-ups: a datafd is identified by what is open, not by a number.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use knet_tests::cluster::{Cluster, channel, exactly};
use knet_tests::descriptors::{datagram_pair, raw_pty, seqpacket_pair, stream_pair};
use knet_tests::wait::{next, read, receive};
use kronosnet::{Datafd, DatafdSource, Error};
use nix::libc::{EEXIST, EINVAL};
use nix::unistd::dup2;

/// A number under which one file is open after the other, as if each was closed before the next was opened.
struct Number(OwnedFd);

impl Number {
    fn of(fd: impl AsFd) -> Self {
        Self(fd.as_fd().try_clone_to_owned().unwrap())
    }

    fn open(&mut self, fd: impl AsFd) {
        dup2(fd, &mut self.0).unwrap();
    }

    fn get(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

fn is_unknown<T>(result: Result<T, Error>, number: i32) {
    let Err(error) = result else { panic!("it was found") };
    assert!(matches!(error, Error::UnknownDatafd { fd } if fd == number), "{error}");
    assert_eq!(error.errno(), EINVAL);
}

#[test]
fn an_accept_loop_may_close_its_own_descriptors() {
    let cluster = Cluster::pair();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut clients, mut number) = (Vec::new(), Number::of(&listener));
    for at in 0..5 {
        clients.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (accepted, _) = listener.accept().unwrap();
        number.open(accepted);
        let datafd = cluster.bring(1, &number.0, at);
        assert_eq!(datafd.caller_fd(), Some(number.get()));
    }
    for (at, client) in (0..).zip(&clients) {
        let there = cluster.create(2, at);
        nix::unistd::write(client, b"out").unwrap();
        assert_eq!(receive(&there), b"out");
        there.send(b"in").unwrap();
        assert_eq!(read(client), b"in");
    }
    // Their events are distinguished by their ids.
    let third = cluster.handle(1).datafd(channel(3)).unwrap().id();
    drop(clients.remove(3));
    let event = next(cluster.problems(1));
    assert_eq!((event.channel, event.id, event.datafd), (channel(3), third, number.get()));
    cluster.handle(1).remove_datafd(event.id).unwrap();
    assert_eq!(cluster.handle(1).channels(), [0, 1, 2, 4].map(channel));
}

#[test]
fn row_11_a_duplicate_of_a_datafd_is_refused_whatever_its_number() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (given, _far) = seqpacket_pair();
    let (terminal, _master) = raw_pty();
    let created = cluster.create(1, 0);
    for (at, datafd) in [
        (0, created.as_fd().try_clone_to_owned().unwrap()),
        (1, cluster.bring(1, &given, 1).as_fd().try_clone_to_owned().unwrap()),
        (2, cluster.bring(1, &terminal, 2).as_fd().try_clone_to_owned().unwrap()),
    ] {
        let number = datafd.as_raw_fd();
        let error = handle.add_datafd(DatafdSource::Owned(datafd), exactly(9)).unwrap_err();
        let named = matches!(error, Error::DatafdExists { fd, channel: holder }
            if fd == number && holder == channel(at));
        assert!(named, "{error}");
        assert_eq!(error.errno(), EEXIST);
    }
    // Each end of a pair is a socket of its own, and each open terminal is another.
    cluster.bring(1, &_far, 3);
    let (other, _other_master) = raw_pty();
    cluster.bring(1, &other, 4);
}

#[test]
fn an_unrelated_descriptor_with_the_number_of_a_datafd_is_not_the_datafd() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (given, far) = stream_pair();
    let mut number = Number::of(&given);
    cluster.bring(1, &number.0, 0);
    let (unrelated, _other) = datagram_pair();
    number.open(&unrelated);

    is_unknown(handle.channel_of(&number.0), number.get());
    is_unknown(handle.remove_datafd(&number.0), number.get());
    is_unknown(handle.resume_datafd(&number.0), number.get());
    assert_eq!(handle.channel_of(&given).unwrap(), channel(0), "what is open decides");
    // The number itself still names it: the application has no other name for it in C.
    assert_eq!(handle.channel_of(number.get()).unwrap(), channel(0));
    handle.remove_datafd(&given).unwrap();
    is_unknown(handle.remove_datafd(number.get()), number.get());
    drop((given, far));
}

#[test]
fn of_several_datafds_with_a_number_it_names_the_one_that_is_open_under_it() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (one, _far_one) = stream_pair();
    let (two, _far_two) = stream_pair();
    let mut number = Number::of(&one);
    cluster.bring(1, &number.0, 1);
    number.open(&two);
    cluster.bring(1, &number.0, 2);
    assert_eq!(handle.channel_of(number.get()).unwrap(), channel(2));
    number.open(&one);
    assert_eq!(handle.channel_of(number.get()).unwrap(), channel(1));

    number.open(datagram_pair().0);
    let ambiguous = handle.remove_datafd(number.get()).unwrap_err();
    let both = |at| (1..=2).map(channel).collect::<kronosnet::ChannelSet>() == at;
    let named = matches!(ambiguous, Error::AmbiguousDatafd { fd, channels }
        if fd == number.get() && both(channels));
    assert!(named, "{ambiguous}");
    assert_eq!(ambiguous.errno(), EINVAL);
    assert_eq!(handle.channels(), [channel(1), channel(2)]);
    handle.remove_datafd(&one).unwrap();
    handle.remove_datafd(number.get()).unwrap();
    assert!(handle.channels().is_empty());
}

#[test]
fn a_datafd_is_the_descriptor_that_it_lends() {
    let cluster = Cluster::pair();
    let (given, _far) = stream_pair();
    let (handed_over, _other_far) = stream_pair();
    let source = DatafdSource::Owned(handed_over.into());
    let datafds: [(Datafd, Option<i32>); 3] = [
        (cluster.create(1, 0), None),
        (cluster.bring(1, &given, 1), Some(given.as_raw_fd())),
        (cluster.handle(1).add_datafd(source, exactly(2)).unwrap(), None),
    ];
    for (datafd, callers) in datafds {
        assert_eq!(datafd.as_raw_fd(), datafd.as_fd().as_raw_fd());
        assert_eq!(datafd.caller_fd(), callers);
        assert_eq!(cluster.handle(1).channel_of(&datafd).unwrap(), datafd.channel());
        assert_eq!(cluster.handle(1).channel_of(datafd.id()).unwrap(), datafd.channel());
    }
}
