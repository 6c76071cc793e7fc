//! Power spectra, for tests.

use realfft::RealFftPlanner;

/// `[n / 2 + 1]`: squared magnitudes of the discrete Fourier transform of `n` samples.
pub(crate) fn power_spectrum(samples: &[f32]) -> Vec<f64> {
    let plan = RealFftPlanner::<f64>::new().plan_fft_forward(samples.len());
    let mut input: Vec<f64> = samples.iter().map(|&x| f64::from(x)).collect();
    let mut output = plan.make_output_vec();
    plan.process(&mut input, &mut output)
        .expect("the lengths come from the plan");
    output.iter().map(|bin| bin.norm_sqr()).collect()
}

/// [`power_spectrum`] with a four-term Blackman-Harris window (Harris 1978, table 1): main lobe of
/// 4 bins either way, side lobes at -92 dB.
pub(crate) fn windowed_power_spectrum(samples: &[f32]) -> Vec<f64> {
    let n = samples.len() as f64;
    let windowed: Vec<f32> = samples
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let angle = std::f64::consts::TAU * i as f64 / n;
            let window = 0.358_75 - 0.488_29 * angle.cos() + 0.141_28 * (2.0 * angle).cos()
                - 0.011_68 * (3.0 * angle).cos();
            (f64::from(x) * window) as f32
        })
        .collect();
    power_spectrum(&windowed)
}

/// The strongest bin further than `reach` bins from every multiple of `fundamental_bins`, over the
/// strongest bin of all, in dB.
pub(crate) fn strongest_between_harmonics_db(
    power: &[f64],
    fundamental_bins: f64,
    reach: f64,
) -> f64 {
    let strongest = power.iter().copied().fold(0.0, f64::max);
    let between = power.iter().enumerate().filter(|(bin, _)| {
        let order = (*bin as f64 / fundamental_bins).round();
        (*bin as f64 - order * fundamental_bins).abs() > reach
    });
    10.0 * (between.map(|(_, &p)| p).fold(0.0, f64::max) / strongest).log10()
}
