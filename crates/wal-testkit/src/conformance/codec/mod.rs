//! The checks of a [`Codec`], one for each sentence of its contract that can be seen from outside.
//!
//! [`codec_conformance!`](crate::codec_conformance) makes a test of each. They are plain functions, to
//! be run by [`examine`].
//!
//! | file | idea |
//! | --- | --- |
//! | `checks` | one function for each promise |
//! | `records` | records made by a strategy, and bytes that are none |

mod checks;
mod records;

use std::any::type_name;
use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;

use proptest::strategy::Strategy;
use wal_core::Codec;

use super::{Breach, Checked, Stop};

pub use checks::*;

/// What a check works with: the codec, and a strategy that makes records.
pub struct Bench<'a, C, S> {
    codec: C,
    fresh: &'a dyn Fn() -> C,
    records: &'a S,
    promise: Cell<&'static str>,
    /// Only the needs are asked for.
    dry: bool,
}

/// What the checks ask of a codec: that its records can be compared and shown.
///
/// Implemented for every such codec.
pub trait Testable: Codec<Record: PartialEq + Sync, Decoded: PartialEq<Self::Record>> {}

impl<C> Testable for C where C: Codec<Record: PartialEq + Sync, Decoded: PartialEq<C::Record>> {}

/// Runs one check of a codec, which `fresh` makes, on records made by a strategy.
///
/// ```
/// use wal_core::RawCodec;
/// use wal_testkit::conformance::{Checked, codec};
/// use wal_testkit::proptest::prelude::any;
///
/// let outcome = codec::examine(&|| RawCodec, &any::<Vec<u8>>(), codec::encoding_only_appends);
/// assert_eq!(outcome, Ok(Checked::Passed));
/// ```
///
/// # Errors
/// The promise that was broken.
pub fn examine<C: Testable, S: Strategy>(
    fresh: &dyn Fn() -> C,
    records: &S,
    check: Check<C, S>,
) -> Result<Checked, Breach> {
    let bench = Bench::new(fresh, records, false);
    match check(&bench) {
        Ok(()) => Ok(Checked::Passed),
        Err(Stop::Skip(why)) => Ok(Checked::Skipped(why)),
        Err(Stop::Broken(seen)) => {
            let who = format!("the codec {}", type_name::<C>());
            Err(Breach { who, promise: bench.promise.get(), seen, calls: Vec::new() })
        }
        Err(Stop::Dry) => unreachable!("only a dry run ends so"),
    }
}

/// A check of a codec.
pub type Check<C, S> = fn(&Bench<'_, C, S>) -> Result<(), Stop>;

/// All checks with their names, for those who run them otherwise than as tests.
#[must_use]
pub fn all<C: Testable, S: Strategy>() -> Vec<(&'static str, Check<C, S>)>
where
    S::Value: Borrow<C::Record> + Sync,
{
    crate::__codec_checks! { __codec_table { Check<C, S> } }
}

/// Why a check would be skipped, without running it; `None` if it would run.
pub fn need_of<C: Testable, S: Strategy>(
    fresh: &dyn Fn() -> C,
    records: &S,
    check: Check<C, S>,
) -> Option<String> {
    match check(&Bench::new(fresh, records, true)) {
        Err(Stop::Skip(why)) => Some(why),
        _ => None,
    }
}

impl<'a, C, S> Bench<'a, C, S> {
    fn new(fresh: &'a dyn Fn() -> C, records: &'a S, dry: bool) -> Self {
        Bench { codec: fresh(), fresh, records, promise: Cell::new(""), dry }
    }

    /// How every check begins: with the sentence it is about.
    fn promise(&self, promise: &'static str) -> Result<(), Stop> {
        self.promise.set(promise);
        if self.dry { Err(Stop::Dry) } else { Ok(()) }
    }
}

impl<C, S> fmt::Debug for Bench<'_, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("promise", &self.promise.get()).finish_non_exhaustive()
    }
}

/// Makes a module of tests that show whether a codec keeps the contract of [`Codec`].
///
/// `codec_conformance!(module, codec, records)`: `codec` is an expression that gives the codec, and
/// `records` one that gives a [`proptest`](crate::proptest) strategy that makes records. Its values are
/// records, or own what a record borrows: `Vec<u8>` for `[u8]`, `String` for `str`. Make them of every
/// kind that the codec knows, empty and large ones included. Both expressions are evaluated anew for
/// each test.
///
/// The records are the same on every run; `PROPTEST_CASES` says how many there are, 256 if it is not
/// set. A failure is shrunk to the smallest record that still fails.
///
/// One test is skipped, aloud, unless the test binary installs
/// [`AllocationWatch`](crate::conformance::AllocationWatch). As for
/// [`storage_conformance!`](crate::storage_conformance), `skips: [..]` lists what may be skipped.
///
/// # Examples
/// ```rust,test_harness
/// use bytes::{BufMut, Bytes, BytesMut};
/// use wal_core::{Codec, CodecId, Error, ErrorKind, Result};
/// use wal_testkit::conformance::AllocationWatch;
/// use wal_testkit::proptest::prelude::any;
///
/// /// Pairs of numbers.
/// struct Pairs;
///
/// impl Codec for Pairs {
///     type Record = (u32, u32);
///     type Decoded = (u32, u32);
///
///     fn id(&self) -> CodecId {
///         CodecId(CodecId::APPLICATION.0 + 1)
///     }
///
///     fn encode(&self, &(a, b): &(u32, u32), out: &mut BytesMut) -> Result<()> {
///         out.put_u32_le(a);
///         out.put_u32_le(b);
///         Ok(())
///     }
///
///     fn decode(&self, bytes: Bytes) -> Result<(u32, u32)> {
///         let Ok::<[u8; 8], _>(both) = bytes[..].try_into() else {
///             return Err(Error::new(ErrorKind::Codec, "decode record").with_detail("not 8 bytes"));
///         };
///         let both = u64::from_le_bytes(both);
///         Ok((both as u32, (both >> 32) as u32))
///     }
/// }
///
/// #[global_allocator]
/// static ALLOCATOR: AllocationWatch = AllocationWatch;
///
/// wal_testkit::codec_conformance!(pairs, Pairs, any::<(u32, u32)>(), skips: []);
/// ```
///
/// A codec that drops trailing zeros is told so:
///
/// ```text
/// the codec app::Trimming breaks its contract
///   promised: two different records never encode to the same bytes
///   seen:     two records have the one encoding 0 bytes [], so that a log gives one back as the other:
///             [] and [0]
/// ```
#[macro_export]
macro_rules! codec_conformance {
    ($(#[$meta:meta])* $module:ident, $codec:expr, $records:expr $(,)?) => {
        $crate::__codec_checks! { __codec_tests {
            [$(#[$meta])*] $module, $codec, $records, ::core::option::Option::None
        } }
    };
    (
        $(#[$meta:meta])* $module:ident, $codec:expr, $records:expr,
        skips: [$($skip:ident),* $(,)?] $(,)?
    ) => {
        $crate::__codec_checks! { __codec_tests {
            [$(#[$meta])*] $module, $codec, $records,
            ::core::option::Option::Some(&[$(::core::stringify!($skip)),*])
        } }
    };
}

/// The one list of the checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __codec_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            what_is_decoded_is_what_was_encoded
            different_records_have_different_encodings
            encoding_only_appends
            as_encoded_is_the_encoding
            decoding_garbage_never_panics
            empty_and_huge_inputs_are_decoded_or_refused
            a_cut_encoding_is_never_the_record
            decoding_reads_only_its_input
            refusals_are_of_the_kind_codec
            a_short_input_allocates_little
            the_id_is_stable
            threads_share_the_codec
            arc_and_box_forward
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __codec_tests {
    ({ [$($meta:tt)*] $module:ident, $codec:expr, $records:expr, $skips:expr } $($check:ident)*) => {
        $($meta)*
        mod $module {
            #[allow(unused_imports, reason = "the expressions may be paths from here")]
            use super::*;

            $(#[test]
            fn $check() {
                let outcome = $crate::conformance::codec::examine(
                    &|| $codec,
                    &$records,
                    $crate::conformance::codec::$check,
                );
                $crate::conformance::report(
                    ::core::module_path!(),
                    ::core::stringify!($check),
                    outcome,
                );
            })*

            #[test]
            fn what_was_skipped() {
                let tests = [$((
                    ::core::stringify!($check),
                    $crate::conformance::codec::need_of(
                        &|| $codec,
                        &$records,
                        $crate::conformance::codec::$check,
                    ),
                )),*];
                $crate::conformance::report_skips(::core::module_path!(), &tests, $skips);
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __codec_table {
    ({ $type:ty } $($check:ident)*) => {
        vec![$((stringify!($check), $check as $type)),*]
    };
}
