//! Settings of a voice: a macro for its specification and struct, and the kinds of values.

use params::{Curve, ParamKind, Patch};

/// Defines a voice's specification `spec()`, its struct `Settings` and the conversion from a patch, all from
/// one list, so that no name or range is written twice.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $kind:expr,)*) => {
        /// The voice's parameters: their order, ranges and classes.
        pub(crate) fn spec() -> &'static params::ParamSpec {
            static SPEC: std::sync::LazyLock<params::ParamSpec> = std::sync::LazyLock::new(|| {
                params::ParamSpec::new(Settings::params())
                    .expect("the voice's own parameters are valid")
            });
            &SPEC
        }

        /// The values of a patch.
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct Settings { $($(#[$doc])* pub $name: $type,)* }

        impl Settings {
            fn params() -> Vec<params::Param> {
                vec![$(params::Param { name: stringify!($name).into(), kind: $kind },)*]
            }

            /// The settings of a patch.
            ///
            /// # Errors
            /// If a value is missing, unknown or out of range.
            pub(crate) fn read(patch: &params::Patch) -> Result<Self, params::ParamError> {
                use crate::setting::Setting;
                spec().encode(patch)?;
                Ok(Self { $($name: <$type>::read(patch, stringify!($name)),)* })
            }
        }
    };
}
pub(crate) use settings;

/// A type whose values are the classes of a categorical parameter.
pub(crate) trait Class: Copy + 'static {
    /// Names and values, in index order.
    const CLASSES: &'static [(&'static str, Self)];
}

/// A value that can be read from a checked patch.
pub(crate) trait Setting {
    fn read(patch: &Patch, name: &str) -> Self;
}

impl Setting for f32 {
    fn read(patch: &Patch, name: &str) -> Self {
        patch.cont[name]
    }
}

impl<C: Class> Setting for C {
    fn read(patch: &Patch, name: &str) -> Self {
        C::CLASSES[patch.cat[name]].1
    }
}

pub(crate) fn range(min: f32, max: f32, unit: &str, curve: Curve) -> ParamKind {
    ParamKind::Continuous {
        min,
        max,
        unit: unit.into(),
        curve,
    }
}

/// A number from 0 to 1 without a physical unit.
pub(crate) fn unit() -> ParamKind {
    range(0.0, 1.0, "unit", Curve::Linear)
}

pub(crate) fn choice<C: Class>() -> ParamKind {
    let classes = C::CLASSES.iter().map(|(name, _)| (*name).into()).collect();
    ParamKind::Categorical { classes }
}
