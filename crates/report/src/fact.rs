//! A name and its value, as a list shows them.

use maud::{Markup, html};

/// A name and its value.
pub(crate) fn fact(name: &str, value: &str) -> Markup {
    html! {
        div {
            dt { (name) }
            dd { (value) }
        }
    }
}
