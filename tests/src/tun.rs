//! TUN and TAP devices: packets that the kernel routes to one can be read here, and packets written
//! here arrives at the kernel.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::network::run;

/// The kind of data that a device carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Kind {
    /// IP packets.
    Tun = 0x0001,
    /// Ethernet frames.
    Tap = 0x0002,
}

/// Makes a device with this name in the network of the calling thread. It disappears when the
/// descriptor is closed.
///
/// # Errors
/// What this machine lacks for it.
pub fn device(kind: Kind, name: &str) -> Result<OwnedFd, String> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let fd = open("/dev/net/tun", flags, Mode::empty())
        .map_err(|errno| format!("needs /dev/net/tun: {errno}"))?;
    attach(&fd, kind, name)?;
    Ok(fd)
}

/// Attaches the device to its descriptor. `TUNSETIFF` has no safe form, but it acts on the open
/// file, so a child process that shares the file can call it.
fn attach(fd: &OwnedFd, kind: Kind, name: &str) -> Result<(), String> {
    const TUNSETIFF: &str = "0x400454ca";
    const IFF_NO_PI: u16 = 0x1000;
    let flags = (kind as u16 | IFF_NO_PI).to_string();
    let program =
        "my $r = pack('a16 S x22', $ARGV[1], $ARGV[2]); ioctl(STDIN, hex $ARGV[0], $r) or die $!";
    let shared = fd.try_clone().map_err(|error| error.to_string())?;
    let mut perl = Command::new("perl");
    run(perl.args(["-e", program, TUNSETIFF, name, &flags]).stdin(Stdio::from(shared)))
}
