//! Log events about what the kernel does not grant the sockets of links.

use std::sync::Once;

use knet_transport::{QosMarking, UdpSocket};

use crate::log::{Causes, Log, log};

/// Logs what a new socket was asked to have and did not get.
pub(crate) fn log_new_socket(log: Log, socket: &UdpSocket) {
    let (address, buffers) = (socket.local_addr(), socket.buffers());
    if let Some(error) = socket.gro_error() {
        log!(
            debug, log, Transport, %address, error = %Causes(&error),
            "GRO is not available: datagrams are received one by one"
        );
    }
    if !buffers.is_full() {
        log!(
            warn, log, Transport,
            %address,
            wanted = buffers.wanted,
            receive = buffers.receive,
            send = buffers.send,
            "socket buffers are smaller than wanted and may lose datagrams under load, raise \
             net.core.rmem_max and net.core.wmem_max",
        );
    }
}

/// Logs, once in the life of the process, that the marking of a link includes a priority and the
/// kernel accepts none per packet.
pub(crate) fn log_link_marking(log: Log, marking: Option<QosMarking>) {
    static LOGGED: Once = Once::new();
    if marking.is_some() && !knet_transport::supports_datagram_priority() {
        LOGGED.call_once(|| {
            log!(debug, log, Link, "the kernel accepts no priority per packet (Linux 6.14 does)");
        });
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    use knet_transport::SocketOptions;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::*;

    /// Collects the level and the fields of log events.
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Visit for Log {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.get_mut().unwrap().push(format!("{field}={value:?}"));
        }
    }

    impl Subscriber for &'static Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("knet::")
        }
        fn event(&self, event: &Event<'_>) {
            let mut fields = Log::default();
            event.record(&mut fields);
            let mut lines = self.0.lock().unwrap();
            lines.push(event.metadata().level().to_string());
            lines.append(&mut fields.0.into_inner().unwrap());
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn small_socket_buffers_are_logged_as_a_warning() {
        let log: &'static Log = Box::leak(Box::default());
        let options = SocketOptions { buffer_size: usize::MAX, ..SocketOptions::default() };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
        tracing::subscriber::with_default(log, || {
            log_new_socket(crate::log::Log::default(), &socket);
        });
        let lines = log.0.lock().unwrap();
        assert_eq!(lines[0], Level::WARN.as_str());
        assert!(lines.contains(&format!("address={}", socket.local_addr())), "{lines:?}");
        assert!(lines.contains(&format!("receive={}", socket.buffers().receive)), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("net.core.rmem_max")), "{lines:?}");
    }

    #[test]
    fn a_socket_with_all_it_asked_for_is_not_logged() {
        let log: &'static Log = Box::leak(Box::default());
        let options = SocketOptions { buffer_size: 4096, gro: true, ..SocketOptions::default() };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
        tracing::subscriber::with_default(log, || {
            log_new_socket(crate::log::Log::default(), &socket);
        });
        let expected_levels = usize::from(socket.gro_error().is_some());
        let levels = log.0.lock().unwrap().iter().filter(|line| *line == "DEBUG").count();
        assert_eq!(levels, expected_levels);
        assert!(!log.0.lock().unwrap().contains(&"WARN".to_owned()));
    }
}
