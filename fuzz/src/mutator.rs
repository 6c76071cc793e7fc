use crate::draw::Draw;

/// One kind of damage. Applied to bytes in which it finds nothing to damage, it leaves them as they are.
pub(crate) struct Mutator {
    pub(crate) name: &'static str,
    kind: Kind,
}

enum Kind {
    /// Bytes change, their number doesn't.
    InPlace(fn(&mut [u8], &mut Draw)),
    /// The file may become longer or shorter.
    Moving(fn(&mut Vec<u8>, &mut Draw)),
}

impl Mutator {
    pub(crate) const fn in_place(name: &'static str, damage: fn(&mut [u8], &mut Draw)) -> Mutator {
        Mutator {
            name,
            kind: Kind::InPlace(damage),
        }
    }

    pub(crate) const fn moving(name: &'static str, damage: fn(&mut Vec<u8>, &mut Draw)) -> Mutator {
        Mutator {
            name,
            kind: Kind::Moving(damage),
        }
    }

    pub(crate) fn apply(&self, bytes: &mut Vec<u8>, draw: &mut Draw) {
        match self.kind {
            Kind::InPlace(damage) => damage(bytes, draw),
            Kind::Moving(damage) => damage(bytes, draw),
        }
    }
}
