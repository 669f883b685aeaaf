//! The kinds of values in canonical bytes. Part of the layout on which every stored digest depends.

pub(super) const END: u8 = 0xff;
pub(super) const FOLDED: u8 = 0;
pub(super) const UNIT: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const TRUE: u8 = 3;
pub(super) const BYTE: u8 = 4;
pub(super) const WORD: u8 = 5;
pub(super) const LONG: u8 = 6;
pub(super) const NEGATIVE: u8 = 7;
pub(super) const NEGATIVE_LONG: u8 = 8;
pub(super) const FLOAT: u8 = 9;
pub(super) const CHAR: u8 = 10;
pub(super) const TEXT: u8 = 11;
pub(super) const BYTES: u8 = 12;
pub(super) const NONE: u8 = 13;
pub(super) const SOME: u8 = 14;
pub(super) const LIST: u8 = 15;
pub(super) const MAP: u8 = 16;
pub(super) const SET: u8 = 17;
pub(super) const STRUCT: u8 = 18;
pub(super) const UNIT_VARIANT: u8 = 19;
pub(super) const NEWTYPE_VARIANT: u8 = 20;
pub(super) const TUPLE_VARIANT: u8 = 21;
pub(super) const STRUCT_VARIANT: u8 = 22;
