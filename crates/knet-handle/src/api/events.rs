//! Subscribing to events: streams and callbacks.

use std::sync::Arc;

use knet_engine::{AddressEvent, HostEvent, LinkEvent, MtuEvent, Rejection};

use crate::api::event_stream::EventStream;
use crate::api::handle::Handle;
use crate::event::{DatafdEvent, Notification};

/// # Events
///
/// Events are reported on one thread of the handle, in the order in which they happened. Each kind has
/// any number of streams and at most one callback.
///
/// A callback is called with no lock held: it may call any method. Further events wait until it returns. If
/// thousands wait, those are dropped and counted ([`Notification::lost`]) that a later one about the same link,
/// host or datafd makes superfluous; the last state of each is never dropped. A panic in it is caught and
/// logged.
impl Handle {
    /// Returns a stream of problems of datafds. Enables datafd notifications, without which
    /// [`Handle::add_datafd`] fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// use std::os::unix::net::UnixStream;
    /// use knet_handle::DatafdProblem;
    ///
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let events = handle.datafd_events();
    /// let (ours, theirs) = UnixStream::pair()?;
    /// handle.add_datafd(DatafdSource::Fd(theirs.as_fd()), ChannelRequest::Any)?;
    /// drop(ours);
    /// assert_eq!(events.recv()?.event.problem, DatafdProblem::EndOfFile);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn datafd_events(&self) -> EventStream<DatafdEvent> {
        self.audiences().datafd.stream()
    }

    /// Calls `callback` for each problem of a datafd, instead of the previous callback. Enables datafd
    /// notifications.
    pub fn on_datafd_event(
        &self,
        callback: impl Fn(&Handle, &Notification<DatafdEvent>) + Send + Sync + 'static,
    ) {
        self.audiences().datafd.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_datafd_event`]. Datafd notifications stay enabled.
    pub fn clear_on_datafd_event(&self) {
        self.audiences().datafd.clear_callback();
    }

    /// Returns a stream of hosts that become reachable or unreachable. Each event follows that of the link
    /// that caused it. When it is reported, routes and status are up to date.
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let hosts = handle.host_events();
    /// let itself = handle.add_host(handle.host_id())?;
    /// itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    ///
    /// let notification = hosts.recv()?;
    /// assert_eq!(notification.event.host, itself.id());
    /// assert!(notification.event.reachable);
    /// assert_eq!(notification.lost, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn host_events(&self) -> EventStream<HostEvent> {
        self.audiences().host.stream()
    }

    /// Calls `callback` when a host becomes reachable or unreachable, instead of the previous callback.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use knet_handle::Notification;
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let (sender, receiver) = mpsc::channel();
    /// handle.on_host_event(move |handle, Notification { event, .. }| {
    ///     let _ = sender.send((event.host, handle.hosts().len()));
    /// });
    /// let itself = handle.add_host(handle.host_id())?;
    /// itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// assert_eq!(receiver.recv()?, (itself.id(), 1));
    ///
    /// handle.clear_on_host_event();
    /// assert!(receiver.recv().is_err(), "the callback and its sender are dropped");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_host_event(
        &self,
        callback: impl Fn(&Handle, &Notification<HostEvent>) + Send + Sync + 'static,
    ) {
        self.audiences().host.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_host_event`].
    pub fn clear_on_host_event(&self) {
        self.audiences().host.clear_callback();
    }

    /// Returns a stream of links that come up or go down.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{DownReason, LinkState};
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let itself = handle.add_host(handle.host_id())?;
    /// # let link = itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?;
    /// # link.enable()?;
    /// let links = handle.link_events();
    /// link.disable()?;
    /// let down = links.iter().find(|notification| !notification.event.state.is_up());
    /// let state = down.map(|notification| notification.event.state);
    /// assert_eq!(state, Some(LinkState::Down(DownReason::Disabled)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn link_events(&self) -> EventStream<LinkEvent> {
        self.audiences().link.stream()
    }

    /// Calls `callback` when a link comes up or goes down, instead of the previous callback.
    pub fn on_link_event(
        &self,
        callback: impl Fn(&Handle, &Notification<LinkEvent>) + Send + Sync + 'static,
    ) {
        self.audiences().link.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_link_event`].
    pub fn clear_on_link_event(&self) {
        self.audiences().link.clear_callback();
    }

    /// Returns a stream of how many bytes of payload a packet can carry, on a link, to a host and to all
    /// hosts, whenever that changes (`knet_handle_enable_pmtud_notify` reports the last of these).
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::MtuEvent;
    ///
    /// # use std::time::Duration;
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId, PingTimers};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let local = handle.bind(([127, 0, 0, 1], 0).into())?;
    /// # let config = LinkConfig {
    /// #     ping_timers: PingTimers {
    /// #         interval: Duration::from_millis(20),
    /// #         ..PingTimers::default()
    /// #     },
    /// #     pong_count: 1,
    /// #     ..LinkConfig::udp(local.addr(), local.addr())
    /// # };
    /// # let itself = handle.add_host(handle.host_id())?;
    /// # itself.add_link(LinkId::new(0)?, config)?.enable()?;
    /// # itself.wait_until_reachable(Duration::from_secs(10))?;
    /// let events = handle.mtu_events();
    /// handle.set_manual_mtu(Some(1400))?;
    /// let expected = 1400 - 20 - 8 - 26;
    /// assert!(events.iter().any(|notification| {
    ///     notification.event == MtuEvent::Handle { data_mtu: expected }
    /// }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn mtu_events(&self) -> EventStream<MtuEvent> {
        self.audiences().mtu.stream()
    }

    /// Calls `callback` when packets can carry more or less than before, instead of the previous callback.
    pub fn on_mtu_event(
        &self,
        callback: impl Fn(&Handle, &Notification<MtuEvent>) + Send + Sync + 'static,
    ) {
        self.audiences().mtu.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_mtu_event`].
    pub fn clear_on_mtu_event(&self) {
        self.audiences().mtu.clear_callback();
    }

    /// Returns a stream of peers of dynamic links that are found at another address, at most one event per
    /// second and link. [`AddressEvent::contested`] shows that two machines may have one host id.
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let addresses = handle.address_events();
    /// assert!(addresses.try_recv().is_err(), "no peer has moved");
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    #[must_use]
    pub fn address_events(&self) -> EventStream<AddressEvent> {
        self.audiences().address.stream()
    }

    /// Calls `callback` when the peer of a dynamic link is found at another address, instead of the previous
    /// callback.
    pub fn on_address_event(
        &self,
        callback: impl Fn(&Handle, &Notification<AddressEvent>) + Send + Sync + 'static,
    ) {
        self.audiences().address.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_address_event`].
    pub fn clear_on_address_event(&self) {
        self.audiences().address.clear_callback();
    }

    /// Returns a stream of packets that were rejected because of what they claim, or where they come from: at
    /// most one event per second and kind of reason, which counts the others ([`Rejection::suppressed`]). They
    /// may be forged. [`Handle::drop_stats`] counts all packets that were dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::RejectionReason;
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let rejections = handle.rejection_events();
    /// # let local = handle.bind(([127, 0, 0, 1], 0).into())?;
    /// # let config = LinkConfig::udp(local.addr(), ([127, 0, 0, 1], 9).into());
    /// # let link = handle.add_host(HostId::new(2))?.add_link(LinkId::new(0)?, config)?;
    /// # let other = Handle::new(HostId::new(7))?;
    /// # let from = other.bind(([127, 0, 0, 1], 0).into())?;
    /// # let config = LinkConfig::udp(from.addr(), local.addr());
    /// # other.add_host(HostId::new(1))?.add_link(LinkId::new(0)?, config)?.enable()?;
    /// // Host 7 sends a ping. It was not added here.
    /// let rejection = rejections.recv()?.event;
    /// assert_eq!(rejection.source, from.addr());
    /// assert_eq!(rejection.reason, RejectionReason::UnknownHost(HostId::new(7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rejection_events(&self) -> EventStream<Rejection> {
        self.audiences().rejection.stream()
    }

    /// Calls `callback` for packets that were rejected, instead of the previous callback.
    pub fn on_rejection_event(
        &self,
        callback: impl Fn(&Handle, &Notification<Rejection>) + Send + Sync + 'static,
    ) {
        self.audiences().rejection.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_rejection_event`].
    pub fn clear_on_rejection_event(&self) {
        self.audiences().rejection.clear_callback();
    }
}
