//! The kronosnet handle: hosts, links and datafds over an engine, two data threads and no polling.
