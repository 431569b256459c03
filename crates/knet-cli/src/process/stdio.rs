//! Standard input, output and error as the process inherited them.
//!
//! Their open files are shared with other processes, any of which may have made them non-blocking. The
//! flag is left alone, because the others rely on it; a full or empty file is waited for instead.
//!
//! A stream that was closed is an error where it is used. The standard library has opened `/dev/null` instead.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use knet_fd::StandardStream;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use crate::process::readiness;

/// The reader of standard output closed it. Ends the process by SIGPIPE, without a message, as it ends
/// other tools.
#[derive(Debug, thiserror::Error)]
#[error("the output was closed")]
pub(crate) struct OutputClosed;

/// A descriptor that is read and written without a buffer, and waited for when it is not ready.
#[derive(Debug)]
pub(crate) struct Patient<F>(pub(crate) F);

impl<F: AsFd> Read for Patient<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.when_ready(PollFlags::POLLIN, |fd| nix::unistd::read(fd, buffer))
    }
}

impl<F: AsFd> Write for Patient<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.when_ready(PollFlags::POLLOUT, |fd| nix::unistd::write(fd, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: AsFd> Patient<F> {
    fn when_ready(
        &self,
        events: PollFlags,
        mut transfer: impl FnMut(&F) -> nix::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            match transfer(&self.0) {
                Err(Errno::EAGAIN) => {
                    readiness::wait(&mut [PollFd::new(self.0.as_fd(), events)], None)?;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(length) => return Ok(length),
            }
        }
    }
}

/// Standard input, read without a buffer and waited for.
#[derive(Debug)]
pub(crate) struct Input;

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        StandardStream::Input.check()?;
        Patient(io::stdin()).read(buffer)
    }
}

/// Standard output, written without a buffer and waited for.
#[derive(Debug)]
pub(crate) struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        StandardStream::Output.check()?;
        Patient(io::stdout()).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to standard output.
///
/// # Errors
/// [`OutputClosed`] if its reader is gone; any other error of the write.
pub(crate) fn write_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    Output.write_all(bytes).map_err(output_error)
}

/// Describes why standard output could not be written.
pub(crate) fn output_error(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return OutputClosed.into();
    }
    anyhow::Error::new(error).context("cannot write the output")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    #[test]
    fn a_descriptor_that_is_not_ready_is_waited_for() {
        let (near, far) = UnixStream::pair().unwrap();
        for end in [&near, &far] {
            end.set_nonblocking(true).unwrap();
        }
        let sent: Vec<u8> = (0..4_000_000_u32).map(|n| n as u8).collect();
        thread::scope(|scope| {
            let writing = scope.spawn(|| {
                Patient(&near).write_all(&sent).unwrap();
                near.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            Patient(&far).read_to_end(&mut received).unwrap();
            writing.join().unwrap();
            assert!(received == sent, "{} bytes", received.len());
        });
    }

    #[test]
    fn a_closed_reader_is_distinguished_from_a_failure() {
        assert!(output_error(io::ErrorKind::BrokenPipe.into()).is::<OutputClosed>());
        let full = output_error(Errno::ENOSPC.into());
        assert!(!full.is::<OutputClosed>());
        assert_eq!(full.to_string(), "cannot write the output");
    }
}
