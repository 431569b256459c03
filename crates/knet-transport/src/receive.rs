//! Receiving many datagrams per system call.

use std::mem::{self, MaybeUninit};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;

use crate::address::RawAddress;
use crate::received::Arrival;
use crate::received_control::ReceivedControl;
use crate::{ReceiveBatch, ReceiveError};

/// Fills `batch` with available datagrams and returns their number.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    batch: &mut ReceiveBatch,
) -> Result<usize, ReceiveError> {
    loop {
        match receive_some(socket, batch) {
            Ok(()) | Err(Errno::EAGAIN) => return Ok(batch.len()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(ReceiveError::new(errno)),
        }
    }
}

/// Calls `recvmmsg(2)` once. The batch is empty if it fails.
#[allow(unsafe_code)]
fn receive_some(socket: BorrowedFd<'_>, batch: &mut ReceiveBatch) -> Result<(), Errno> {
    const MAX: usize = ReceiveBatch::MAX_CAPACITY;
    let mut addresses = [const { MaybeUninit::<RawAddress>::uninit() }; MAX];
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MAX];
    let mut controls = [const { MaybeUninit::<ReceivedControl>::uninit() }; MAX];

    let mut count = 0;
    let slots = addresses.iter_mut().zip(&mut parts).zip(&mut controls).zip(&mut headers);
    for (buffer, (((address, part), control), header)) in batch.start().zip(slots) {
        let address = address.write(RawAddress::EMPTY);
        let control = control.write(ReceivedControl::EMPTY);
        let part =
            part.write(libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        // SAFETY: `mmsghdr` is a plain C struct of integers and pointers, for all of which zero is a
        // valid value. It has private fields on some targets, so it cannot be written out.
        let header = header.write(unsafe { mem::zeroed() });
        header.msg_hdr.msg_name = address.bytes.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = RawAddress::CAPACITY as libc::socklen_t;
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = control.as_mut_ptr();
        header.msg_hdr.msg_controllen = control.capacity() as _;
        count += 1;
    }

    // SAFETY: the first `count` headers were written in the loop above. They point to `addresses`, to
    // `controls` and, through `parts`, to buffers of the batch that do not overlap. All of these outlive
    // the call, none is moved or accessed during it, and each has its own length. A null timeout is
    // allowed. `socket` is borrowed, so it is open.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let received = Errno::result(received)? as usize;
    batch.set_buffers_used(received);

    let slots = headers.iter().zip(&mut addresses).zip(&controls);
    for (buffer, ((header, address), control)) in slots.take(received).enumerate() {
        // SAFETY: the kernel fills at most `count` headers, and the loop above wrote all three arrays up
        // to `count`.
        let (header, address, control) = unsafe {
            (header.assume_init_ref(), address.assume_init_mut(), control.assume_init_ref())
        };
        address.len = header.msg_hdr.msg_namelen as usize;
        // UDP always reports a source of the socket's family. If it ever does not, no peer has this
        // address.
        let source = address.decode().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        // Without its control messages, a run looks like one long datagram.
        let cut = libc::MSG_TRUNC | libc::MSG_CTRUNC;
        let truncated = header.msg_hdr.msg_flags & cut != 0;
        let values = control.values(header.msg_hdr.msg_controllen as _);
        let arrival = Arrival { source, local: values.local, truncated };
        batch.add(buffer, header.msg_len as usize, values.run, arrival);
    }
    Ok(())
}
