//! How fast the parts are. Everything is in `benches/`, one file for each part; `README.md` says what
//! is measured, how, and what came out.
