// SPDX-License-Identifier: MIT
// How an optimizer keeps its moments from step to step.
#pragma once

namespace heron {

// bf16 is rounded stochastically: x becomes one of its two neighbours, the nearer the likelier, so that the
// expectation is x, and steps far below half a unit in the last place are not lost (Gupta et al., arXiv
// 1502.02551; Zamirai et al., arXiv 2010.06192). The error is below 2^-7 |x|, its standard deviation at most
// 2^-8 |x|, and a moving average with rate r collects at most 2^-8 |x| sqrt(1 / (2 r)) of it. Draws are from
// Philox 4x32-10 with the step's seed, by step, the parameter's name and element: the same bits in every
// repetition, resumption and division into slices, whatever else the plan has.
//
// block8 (as Dettmers et al., arXiv 2110.02861, with another map, and rounded as bf16 is): 256 neighbouring
// elements share an f32 scale, the largest of them, M. |m| is one of 128 levels (k / 127)^2 M, v one of 256
// levels (k / 255)^4 M. The expectation is what was rounded, but for v below M / 255^4, which becomes that.
// The error of m is below 2 sqrt(|m| M) / 127 + M / 127^2, that of v below 2 per cent of a v of M and 5 of
// one of M / 100. A moving average with rate r sums them up as above: better with beta2 = 0.95 than 0.999.
//
// Every optimizer with the option has bf16. block8 have all but Dion2 and NorDion2, which change lines of M
// twice a step, the Shampoos, whose squares may be sums without decay, FISMO in the whitened space, and
// those whose kernels know no blocks: Conda, K-FAC, MKOR, SINGD (MomentumStep), PSGD, 4-bit Shampoo. GaLore,
// Natural GaLore and Online Subspace Descent have both, as moment_bits = 16 and 8. A moment <name> is in
// block8 <name> (u32, four elements a word, whole blocks) and <name>_scale (f32, one a block); a step is
// along what it was before it is rounded. AMSGrad needs f32, as the largest of noisy numbers is too large.
//
// Other moments are f32: Dion's and Trion's, which products read and write; DCT-AdamW's, of r columns or rows
// alone, whose steps leave over what has codes of its own; those of bases (Online Subspace Descent); MKOR's
// with Adam, Adafactor's m, M-FAC's momentum. So is what is no moment: curvature factors and their roots,
// bases, windows of gradients (M-FAC's has a format of its own), sums over lines.
enum class MomentFormat {
    f32,     // 4 bytes an element
    bf16,    // 2 bytes an element
    block8,  // 1 byte and a 64th
};

}  // namespace heron
