//! The properties the fuzz targets of `tests/fuzz` check, kept beside the code they are about. Not
//! part of the public API; a broken property panics.
