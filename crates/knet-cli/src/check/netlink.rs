//! Questions to the kernel about interfaces, addresses and routes (`rtnetlink(7)`), in the network
//! namespace of the calling thread.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};

/// An interface, whatever addresses it has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Device {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `true` if the interface is enabled.
    pub(crate) is_up: bool,
    /// `true` if the cable is connected.
    pub(crate) has_carrier: bool,
    /// The MTU in bytes.
    pub(crate) mtu: Option<usize>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    /// The index of the interface.
    pub(crate) device: u32,
    pub(crate) ip: IpAddr,
    /// The prefix length of its network.
    pub(crate) prefix: u32,
}

/// A connection to the kernel.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Connects to the kernel.
    ///
    /// # Errors
    /// Those of `socket(2)`, `bind(2)` and `connect(2)`.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&NetlinkAddr::new(0, 0))?;
        // The kernel answers before `send` returns, so there is never anything to wait for.
        socket.set_non_blocking(true)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Returns all interfaces.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(crate) fn devices(&mut self) -> io::Result<Vec<Device>> {
        let all = self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)?;
        let devices = all.into_iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewLink(link) => device(link),
            _ => None,
        });
        Ok(devices.collect())
    }

    /// Returns the addresses of all interfaces.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(crate) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let all =
            self.ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)?;
        let addresses = all.into_iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewAddress(address) => own_address(&address),
            _ => None,
        });
        Ok(addresses.collect())
    }

    /// Returns the index of the interface on which packets leave from `source` to `remote`, by the
    /// kernel's routes.
    ///
    /// # Errors
    /// Those of the kernel, such as `ENETUNREACH`.
    pub(crate) fn route(&mut self, source: IpAddr, remote: SocketAddr) -> io::Result<u32> {
        let mut question = RouteMessage::default();
        let (family, length) = match remote {
            SocketAddr::V4(_) => (AddressFamily::Inet, 32),
            SocketAddr::V6(_) => (AddressFamily::Inet6, 128),
        };
        question.header.address_family = family;
        question.header.destination_prefix_length = length;
        question.header.source_prefix_length = length;
        question.attributes = vec![
            RouteAttribute::Destination(remote.ip().into()),
            RouteAttribute::Source(source.into()),
        ];
        if let SocketAddr::V6(v6) = remote {
            // The zone of a link-local address is its interface.
            question
                .attributes
                .extend((v6.scope_id() != 0).then(|| RouteAttribute::Oif(v6.scope_id())));
        }
        let answers = self.ask(RouteNetlinkMessage::GetRoute(question), 0)?;
        let oif = answers.iter().find_map(|message| match message {
            RouteNetlinkMessage::NewRoute(route) => {
                route.attributes.iter().find_map(|attribute| match attribute {
                    RouteAttribute::Oif(index) => Some(*index),
                    _ => None,
                })
            }
            _ => None,
        });
        oif.ok_or_else(|| io::Error::other("the kernel names no interface for this route"))
    }

    /// Sends a request and returns all answers that can be parsed: a kernel that is newer than the parser
    /// may add what it does not know.
    fn ask(
        &mut self,
        question: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (NLM_F_REQUEST | flags, self.sequence);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut answers = Vec::new();
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let mut rest = bytes.as_slice();
            while let Some((message, others)) = split_first(rest) {
                rest = others;
                match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
                    Ok(answer) if answer.header.sequence_number != self.sequence => {}
                    Ok(answer) => match answer.payload {
                        NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                        NetlinkPayload::Error(error) if error.code.is_some() => {
                            return Err(error.to_io());
                        }
                        NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answers),
                        _ => {}
                    },
                    Err(_) => {}
                }
            }
            if flags & NLM_F_DUMP == 0 {
                return Ok(answers);
            }
        }
    }
}

/// Returns the first message and the bytes after it, or `None` if there is no whole one.
fn split_first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = NetlinkBuffer::new_checked(bytes).ok()?.length() as usize;
    let message = bytes.get(..length)?;
    // Messages are aligned to four bytes.
    Some((message, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn device(link: LinkMessage) -> Option<Device> {
    let (mut name, mut mtu) = (None, None);
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(found) => name = Some(found),
            LinkAttribute::Mtu(found) => mtu = usize::try_from(found).ok(),
            _ => {}
        }
    }
    Some(Device {
        index: link.header.index,
        name: name?,
        is_up: link.header.flags.contains(LinkFlags::Up),
        has_carrier: link.header.flags.contains(LinkFlags::Running),
        mtu,
    })
}

fn own_address(message: &AddressMessage) -> Option<Address> {
    // On a point-to-point interface, `Address` is that of the peer.
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    let address = || {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(ip) => Some(*ip),
            _ => None,
        })
    };
    let header = &message.header;
    Some(Address {
        device: header.index,
        ip: local.or_else(address)?,
        prefix: u32::from(header.prefix_len),
    })
}
