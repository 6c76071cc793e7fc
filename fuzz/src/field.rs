use crate::draw::Draw;

/// Numbers at which readers break: ends of ranges, signs, and their neighbours.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    3,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x00ff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    u64::MAX,
];

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    /// Least significant first, as in RIFF and Ogg.
    Little,
    /// Most significant first, as in AIFF, FLAC and MPEG.
    Big,
}

/// A number inside a file: up to eight bytes at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) at: usize,
    pub(crate) width: usize,
    pub(crate) order: Order,
}

impl Field {
    /// The number, or nothing if the file ends before it does.
    pub(crate) fn read(self, bytes: &[u8]) -> Option<u64> {
        let field = bytes.get(self.at..self.at + self.width)?;
        let number = |sum: u64, &byte: &u8| (sum << 8) | u64::from(byte);
        Some(match self.order {
            Order::Little => field.iter().rev().fold(0, number),
            Order::Big => field.iter().fold(0, number),
        })
    }

    /// Overwrites the number with the low bits of `value`; past the end of the file it does nothing.
    pub(crate) fn write(self, bytes: &mut [u8], value: u64) {
        let Some(field) = bytes.get_mut(self.at..self.at + self.width) else {
            return;
        };
        let little = value.to_le_bytes();
        for (place, byte) in field.iter_mut().enumerate() {
            *byte = match self.order {
                Order::Little => little[place],
                Order::Big => little[self.width - 1 - place],
            };
        }
    }

    /// Overwrites the number with one of `special`, an edge of its range, or a neighbour of what it was.
    pub(crate) fn damage(self, bytes: &mut [u8], special: &[u64], draw: &mut Draw) {
        let Some(old) = self.read(bytes) else { return };
        let value = match draw.below(4) {
            0 => old.wrapping_add(draw.pick(&[1, 2, 8, u64::MAX, u64::MAX - 1])),
            1 | 2 if !special.is_empty() => draw.pick(special),
            _ => draw.pick(&EDGES),
        };
        self.write(bytes, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_was_written_in_either_order() {
        let mut checked = 0;
        for order in [Order::Little, Order::Big] {
            for width in 1..=8 {
                let field = Field {
                    at: 3,
                    width,
                    order,
                };
                let mut bytes = [0xaa; 12];
                let value = 0x0102_0304_0506_0708_u64;
                field.write(&mut bytes, value);
                let mask = u64::MAX >> (64 - 8 * width);
                assert_eq!(field.read(&bytes), Some(value & mask));
                assert!(
                    bytes[..3]
                        .iter()
                        .chain(&bytes[3 + width..])
                        .all(|&b| b == 0xaa)
                );
                checked += 1;
            }
        }
        assert_eq!(checked, 16);
        let mut bytes = [0; 4];
        let big = Field {
            at: 1,
            width: 2,
            order: Order::Big,
        };
        big.write(&mut bytes, 0x1234);
        assert_eq!(bytes, [0, 0x12, 0x34, 0]);
        let beyond = Field { at: 3, ..big };
        beyond.write(&mut bytes, 0xffff);
        assert_eq!((beyond.read(&bytes), bytes[3]), (None, 0));
    }
}
