//! A host without a protocol: a socket pair, a UDP socket and a thread for each direction.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use knet_bench::{Endpoint, Lane};
use knet_fd::{PairType, SocketPair, set_buffer_sizes};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::pieces::Pieces;
use crate::{rx, tx};

/// The application's side of a host. Its threads end with the process.
#[derive(Debug)]
pub(crate) struct FloorHost {
    datafd: OwnedFd,
}

impl FloorHost {
    /// Creates two hosts that are connected over loopback, for messages of one size.
    pub(crate) fn pair(size: usize) -> anyhow::Result<(Self, Self)> {
        let (one, two) = (udp()?, udp()?);
        one.connect(&two.local_addr()?)?;
        two.connect(&one.local_addr()?)?;
        Ok((Self::start(one, size)?, Self::start(two, size)?))
    }

    fn start(udp: Socket, size: usize) -> anyhow::Result<Self> {
        let pieces = Pieces::of(size);
        if pieces.messages_per_call() > 1 {
            // Fits, because a run of at least two datagrams is shorter than 65,507 bytes.
            let segment = i32::try_from(pieces.datagram)?;
            setsockopt(&udp, sockopt::UdpGsoSegment, &segment).context("segmenting (GSO)")?;
            setsockopt(&udp, sockopt::UdpGroSegment, &true).context("joining (GRO)")?;
        }
        let pair = SocketPair::new(PairType::SeqPacket, BUFFERS)?;
        let (udp, inner) = (Arc::new(udp), Arc::new(pair.right));
        let (to, from) = (udp.clone(), inner.clone());
        thread::Builder::new().name("floor-tx".to_owned()).spawn(move || {
            tx::run(&from, &to, pieces);
        })?;
        thread::Builder::new().name("floor-rx".to_owned()).spawn(move || {
            rx::run(&udp, &inner, pieces);
        })?;
        Ok(Self { datafd: pair.left })
    }
}

impl Endpoint for FloorHost {
    fn datafd(&self, _: Lane) -> BorrowedFd<'_> {
        self.datafd.as_fd()
    }

    fn send(&self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn udp() -> anyhow::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    set_buffer_sizes(&socket, BUFFERS)?;
    socket.set_nonblocking(true)?;
    let any_port: std::net::SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    socket.bind(&SockAddr::from(any_port))?;
    Ok(socket)
}

/// The buffer size of all sockets, as in kronosnet and libknet.
const BUFFERS: usize = 8 * 1024 * 1024;
