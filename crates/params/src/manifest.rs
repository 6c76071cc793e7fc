//! One line of a `manifest.jsonl`: a sound file and its parameters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ParamError, ParamSpec, ParamVector, SynthDescription};

/// A sound file with its true parameters.
///
/// Unknown keys are errors, because a misspelt key would otherwise be a label that is silently ignored. The
/// optional keys describe how the sound was rendered; they are not compared with the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestRow {
    /// The sound file, relative to the manifest's folder.
    pub path: String,
    /// [`sha256_pcm`] of the rendered sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256_pcm: Option<String>,
    /// Sample rate of the rendered sound, in Hz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sr: Option<u32>,
    /// Number of samples of the rendered sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
    /// The MIDI note that was played.
    pub note: u8,
    /// The MIDI velocity of the note.
    pub velocity: u8,
    /// Positions in 0..1 of the continuous parameters, by name.
    pub cont: BTreeMap<String, f32>,
    /// Class indices of the categorical parameters, by name.
    pub cat: BTreeMap<String, usize>,
}

impl ManifestRow {
    /// The row of the sound `pcm` (mono, 16 bits), stored at `path` and rendered from `vector`.
    ///
    /// # Errors
    /// If the vector doesn't fit the parameters of the description.
    pub fn new(
        path: impl Into<String>,
        pcm: &[i16],
        description: &SynthDescription,
        vector: &ParamVector,
    ) -> Result<Self, ParamError> {
        let spec = &description.params;
        spec.check(vector)?;
        let names = |params: &mut dyn Iterator<Item = &crate::Param>| {
            params.map(|param| param.name.clone()).collect::<Vec<_>>()
        };
        Ok(Self {
            path: path.into(),
            sha256_pcm: Some(sha256_pcm(pcm)),
            sr: Some(description.sample_rate),
            frames: Some(pcm.len()),
            note: description.note,
            velocity: description.velocity,
            cont: names(&mut spec.continuous())
                .into_iter()
                .zip(vector.cont.clone())
                .collect(),
            cat: names(&mut spec.categorical())
                .into_iter()
                .zip(vector.cat.clone())
                .collect(),
        })
    }

    /// The true parameters, in the order of the specification.
    ///
    /// # Errors
    /// If a parameter has no value, a value has no parameter, a position is outside 0..1, or a class index is
    /// too large; the error names the key.
    pub fn vector(&self, spec: &ParamSpec) -> Result<ParamVector, ParamError> {
        spec.order(&self.cont, &self.cat)
    }
}

/// SHA-256, in lower-case hexadecimal, of mono samples of 16 bits in little-endian order: the bytes of a WAV
/// file's data chunk.
pub fn sha256_pcm(pcm: &[i16]) -> String {
    let mut hasher = Sha256::new();
    for block in pcm.chunks(2048) {
        let bytes: Vec<u8> = block
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        hasher.update(&bytes);
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Curve, Param, ParamKind};

    fn description() -> SynthDescription {
        let continuous = |name: &str, curve| Param {
            name: name.into(),
            kind: ParamKind::Continuous {
                min: 1.0,
                max: 9.0,
                unit: "s".into(),
                curve,
            },
        };
        let classes = ["low", "band", "high"].map(String::from).into();
        let params = vec![
            continuous("zeta", Curve::Exponential),
            Param {
                name: "filter".into(),
                kind: ParamKind::Categorical { classes },
            },
            continuous("alpha", Curve::Linear),
        ];
        SynthDescription {
            synth: "test".into(),
            sample_rate: 16_384,
            note: 60,
            velocity: 127,
            note_s: 0.9,
            params: ParamSpec::new(params).unwrap(),
        }
    }

    fn row() -> ManifestRow {
        let vector = ParamVector {
            cont: vec![0.125, 0.7],
            cat: vec![2],
        };
        ManifestRow::new(
            "audio/7.wav",
            &[1, -2, 256, i16::MIN, i16::MAX],
            &description(),
            &vector,
        )
        .unwrap()
    }

    #[test]
    fn a_row_gives_back_its_vector_through_json() {
        let text = serde_json::to_string(&row()).unwrap();
        let back: ManifestRow = serde_json::from_str(&text).unwrap();
        assert_eq!(back, row());
        let vector = back.vector(&description().params).unwrap();
        assert_eq!(
            vector,
            ParamVector {
                cont: vec![0.125, 0.7],
                cat: vec![2]
            }
        );
        assert_eq!(
            (back.sr, back.frames, back.note, back.velocity),
            (Some(16_384), Some(5), 60, 127)
        );
    }

    #[test]
    fn optional_keys_may_be_left_out_and_unknown_ones_are_refused() {
        let bare = r#"{"path":"7.wav","note":60,"velocity":1,"cont":{"zeta":0.5},"cat":{}}"#;
        let row: ManifestRow = serde_json::from_str(bare).unwrap();
        assert_eq!(
            (row.sha256_pcm.as_ref(), row.sr, row.frames),
            (None, None, None)
        );
        assert_eq!(serde_json::to_string(&row).unwrap(), bare);
        let misspelt = bare.replacen("\"note\"", "\"frame\":5,\"note\"", 1);
        let error = serde_json::from_str::<ManifestRow>(&misspelt).unwrap_err();
        assert!(error.to_string().contains("unknown field `frame`"));
    }

    #[test]
    fn a_row_is_written_flat_with_values_by_name() {
        assert_eq!(
            serde_json::to_string(&row()).unwrap(),
            r#"{"path":"audio/7.wav","sha256_pcm":"780b883431e4d32f213ffca0a9c3ff453049a624c0897022f117c7eca6c0338a","sr":16384,"frames":5,"note":60,"velocity":127,"cont":{"alpha":0.7,"zeta":0.125},"cat":{"filter":2}}"#
        );
    }

    #[test]
    fn the_sum_is_over_little_endian_samples_of_16_bits() {
        // From Python's hashlib: sha256(struct.pack("<5h", 1, -2, 256, -32768, 32767)).
        assert_eq!(
            Some(sha256_pcm(&[1, -2, 256, i16::MIN, i16::MAX])),
            row().sha256_pcm
        );
        // The bytes of "abcd" are two samples.
        assert_eq!(
            sha256_pcm(&[i16::from_le_bytes(*b"ab"), i16::from_le_bytes(*b"cd")]),
            "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"
        );
    }

    #[test]
    fn a_long_sound_is_summed_whole() {
        let pcm: Vec<i16> = (0..5_000).collect();
        assert_ne!(sha256_pcm(&pcm), sha256_pcm(&pcm[..4_999]));
        assert_eq!(
            sha256_pcm(&pcm),
            "54bd9068178b9c41cd3735c20e457f452cefff341f2f1483cfcbf55fe4b8e9d1"
        );
    }

    #[test]
    fn an_error_in_a_row_names_its_key() {
        let spec = description().params;
        let fault = |change: fn(&mut ManifestRow)| {
            let mut row = row();
            change(&mut row);
            row.vector(&spec).unwrap_err().to_string()
        };
        let cases = [
            (
                fault(|r| {
                    r.cont.remove("zeta");
                }),
                "`zeta` has no value",
            ),
            (
                fault(|r| {
                    r.cat.remove("filter");
                }),
                "`filter` has no value",
            ),
            (
                fault(|r| {
                    r.cont.insert("beta".into(), 0.5);
                }),
                "no continuous parameter `beta`",
            ),
            (
                fault(|r| {
                    r.cont.insert("zeta".into(), -0.1);
                }),
                "`zeta` is -0.1: expected 0 to 1",
            ),
            (
                fault(|r| {
                    r.cat.insert("filter".into(), 3);
                }),
                "`filter` has class index 3",
            ),
        ];
        for (text, part) in cases {
            assert!(text.contains(part), "expected {part:?} in {text:?}");
        }
    }
}
