//! The STFT, compared with torch.stft and numpy. Made by reference/stft.py.

use serde::Deserialize;
use stft_data::{Stft, StftConfig};

#[derive(Deserialize)]
struct Case {
    n_fft: usize,
    hop_length: usize,
    win_length: Option<usize>,
    samples: usize,
    bins: usize,
    frames: usize,
    max: f64,
    /// Bin, frame, real and imaginary part.
    probes: Vec<(usize, usize, f64, f64)>,
}

/// The signal of that script: two sines and noise from a linear congruential generator.
fn signal(samples: usize) -> Vec<f32> {
    let mut state = 12_345_u32;
    (0..samples)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / 2_f64.powi(23) - 1.0;
            let turn = std::f64::consts::TAU * n as f64 / 16_000.0;
            (0.5 * (220.0 * turn).sin() + 0.3 * (1234.5 * turn + 0.7).sin() + 0.1 * noise) as f32
        })
        .collect()
}

#[test]
fn the_transform_equals_that_of_torch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/stft.json")).unwrap();
    let mut checked = 0;
    for case in cases {
        let Case {
            n_fft,
            hop_length,
            win_length,
            samples,
            bins,
            frames,
            max,
            probes,
        } = case;
        let stft = Stft::new(&StftConfig {
            n_fft,
            hop_length,
            win_length,
        })
        .unwrap();
        let spectrum = stft.forward(&signal(samples));
        let magnitude = stft.magnitude(&signal(samples));
        let name =
            format!("n_fft {n_fft}, hop {hop_length}, window {win_length:?}, {samples} samples");
        assert_eq!((spectrum.bins, spectrum.frames), (bins, frames), "{name}");
        assert_eq!((magnitude.bins, magnitude.frames), (bins, frames), "{name}");
        for (bin, frame, re, im) in probes {
            let got = spectrum.values[bin * frames + frame];
            let error = (f64::from(got.re) - re).hypot(f64::from(got.im) - im);
            assert!(
                error < 1e-5 * max,
                "{name}: bin {bin}, frame {frame} is {got}, not {re} + {im}i"
            );
            let got = f64::from(magnitude.values[bin * frames + frame]);
            assert!(
                (got - re.hypot(im)).abs() < 1e-5 * max,
                "{name}: magnitude of bin {bin}, frame {frame}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 1779);
}
