//! Asking a handle to tell what happens: event streams and callbacks.
//!
//! One thread tells everything, in the order in which it happened.

use std::sync::Arc;

use knet_engine::{HostEvent, LinkEvent, MtuEvent};

use crate::api::audience::EventStream;
use crate::api::handle::Handle;
use crate::event::DatafdEvent;

impl Handle {
    /// A stream of what happens to datafds. Turns datafd notifications on.
    #[must_use]
    pub fn datafd_events(&self) -> EventStream<DatafdEvent> {
        self.audiences().datafd.stream()
    }

    /// Calls `callback` for what happens to datafds, in place of the callback before. Turns datafd
    /// notifications on.
    ///
    /// It runs on a thread of the handle's, with no lock held: every method may be called. Events
    /// wait for it to return. A panic in it is caught and logged.
    pub fn on_datafd_event(
        &self,
        callback: impl Fn(&Handle, &DatafdEvent) + Send + Sync + 'static,
    ) {
        self.audiences().datafd.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_datafd_event`]. Datafd notifications stay on.
    pub fn clear_on_datafd_event(&self) {
        self.audiences().datafd.clear_callback();
    }

    /// A stream of hosts that become reachable or are lost. An event comes after that of the link that
    /// made the difference; routes and status are up to date by then.
    #[must_use]
    pub fn host_events(&self) -> EventStream<HostEvent> {
        self.audiences().host.stream()
    }

    /// Calls `callback` when a host becomes reachable or is lost, in place of the callback before,
    /// as [`Handle::on_datafd_event`] does.
    pub fn on_host_event(&self, callback: impl Fn(&Handle, &HostEvent) + Send + Sync + 'static) {
        self.audiences().host.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_host_event`].
    pub fn clear_on_host_event(&self) {
        self.audiences().host.clear_callback();
    }

    /// A stream of links that come up or go down.
    #[must_use]
    pub fn link_events(&self) -> EventStream<LinkEvent> {
        self.audiences().link.stream()
    }

    /// Calls `callback` when a link comes up or goes down, in place of the callback before, as
    /// [`Handle::on_datafd_event`] does.
    pub fn on_link_event(&self, callback: impl Fn(&Handle, &LinkEvent) + Send + Sync + 'static) {
        self.audiences().link.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_link_event`].
    pub fn clear_on_link_event(&self) {
        self.audiences().link.clear_callback();
    }

    /// A stream of what packets carry now, on a link, to a host and to anybody, whenever it is more or
    /// less than before (`knet_handle_enable_pmtud_notify` tells the last of these).
    #[must_use]
    pub fn mtu_events(&self) -> EventStream<MtuEvent> {
        self.audiences().mtu.stream()
    }

    /// Calls `callback` when packets carry more or less than before, in place of the callback before, as
    /// [`Handle::on_datafd_event`] does.
    pub fn on_mtu_event(&self, callback: impl Fn(&Handle, &MtuEvent) + Send + Sync + 'static) {
        self.audiences().mtu.set_callback(Arc::new(callback));
    }

    /// Removes the callback of [`Handle::on_mtu_event`].
    pub fn clear_on_mtu_event(&self) {
        self.audiences().mtu.clear_callback();
    }
}
