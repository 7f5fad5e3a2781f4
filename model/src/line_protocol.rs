//! Line protocol: bytes → lines with canonical series keys.
