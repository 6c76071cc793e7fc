//! A page taken apart: as much of HTML as the report uses, and nothing that a browser would have to guess.

/// An opening tag.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut same = self.attributes.iter().filter(|(other, _)| other == name);
        same.next().map(|(_, value)| value.as_str())
    }
}

/// A page's elements in their order, and its text with character references resolved.
#[derive(Debug, Default)]
pub struct Page {
    pub elements: Vec<Element>,
    pub text: String,
}

/// Elements that have no end.
const VOID: [&str; 3] = ["meta", "img", "wbr"];

impl Page {
    /// Takes `html` apart.
    ///
    /// # Panics
    /// If a tag isn't closed in its turn, an attribute isn't quoted, or a character isn't escaped.
    pub fn parse(html: &str) -> Self {
        let mut page = Self::default();
        let mut open: Vec<String> = Vec::new();
        let mut rest = html
            .strip_prefix("<!DOCTYPE html>")
            .expect("a document type");
        while let Some((text, after)) = rest.split_once('<') {
            assert!(!text.contains('>'), "an unescaped > in {text:?}");
            page.text += &resolved(text);
            // A quoted value may hold a >.
            let end = end_of_tag(after);
            let (tag, next) = (&after[..end], &after[end + 1..]);
            rest = next;
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "the tag that is closed");
                page.text.push(' ');
                continue;
            }
            let element = element(tag);
            let name = element.name.clone();
            page.elements.push(element);
            if name == "style" {
                let (_, after) = rest.split_once("</style>").expect("the end of the style");
                rest = after;
            } else if !VOID.contains(&name.as_str()) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "left open: {open:?}");
        assert_eq!(rest, "", "nothing comes after the page");
        page
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements
            .iter()
            .filter(move |element| element.name == name)
    }
}

fn end_of_tag(tag: &str) -> usize {
    let mut quoted = false;
    let end = tag.find(|c| {
        quoted ^= c == '"';
        c == '>' && !quoted
    });
    end.expect("the end of a tag")
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let plain = |name: &str| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-".contains(c))
    };
    assert!(!name.is_empty() && plain(name), "a tag called {name:?}");
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        let (name, value) = match rest.split_once('=') {
            Some((name, after)) if plain(name) => {
                let after = after.strip_prefix('"').expect("a quoted value");
                let (value, after) = after.split_once('"').expect("the end of a value");
                assert!(!value.contains('<'), "an unescaped < in {value:?}");
                rest = after.trim_start();
                (name, value)
            }
            // Such as `controls`.
            _ => {
                let (name, after) = rest.split_once(' ').unwrap_or((rest, ""));
                assert!(plain(name), "an attribute called {name:?}");
                rest = after;
                (name, "")
            }
        };
        attributes.push((name.to_owned(), resolved(value)));
    }
    Element {
        name: name.to_owned(),
        attributes,
    }
}

/// `text` with the four references that escaping makes.
fn resolved(text: &str) -> String {
    let mut out = String::new();
    let mut pieces = text.split('&');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (name, after) = piece.split_once(';').expect("an unescaped &");
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            other => panic!("a reference called {other:?}"),
        });
        out.push_str(after);
    }
    out
}
