//! `params.json`: a synthesizer, its note and its parameters.

use serde::{Deserialize, Serialize};

use crate::ParamSpec;

/// The contents of a `params.json`: the synthesizer, the note that was played, and the parameters.
///
/// Every key is required. Other keys are ignored, so that a data set may contain comments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SynthDescription {
    /// The synthesizer's name and version.
    pub synth: String,
    /// Samples per second of the sounds, in Hz.
    pub sample_rate: u32,
    /// The MIDI note that was played.
    pub note: u8,
    /// The MIDI velocity of the note.
    pub velocity: u8,
    /// How long the note was held, in s.
    pub note_s: f32,
    /// The parameters.
    pub params: ParamSpec,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"synth":"two knobs 1.0","sample_rate":22050,"note":57,"velocity":101,"note_s":0.9,"params":[{"kind":"continuous","name":"cutoff_hz","min":20.0,"max":8000.0,"unit":"Hz","curve":"exponential"},{"kind":"categorical","name":"wave","classes":["sine","saw","square"]}]}"#;

    #[test]
    fn a_description_survives_json_both_ways() {
        let description: SynthDescription = serde_json::from_str(TEXT).unwrap();
        assert_eq!(
            (
                description.sample_rate,
                description.note,
                description.velocity
            ),
            (22_050, 57, 101)
        );
        assert_eq!(description.note_s, 0.9);
        assert_eq!(description.params.class_counts(), [3]);
        assert_eq!(serde_json::to_string(&description).unwrap(), TEXT);
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = serde_json::from_str::<SynthDescription>(&TEXT.replace("note_s", "notes"));
        assert!(error.unwrap_err().to_string().contains("`note_s`"));
    }
}
