// SPDX-License-Identifier: MIT
// Cholesky factor of a matrix in shared memory, by one workgroup. The includer has included core/kernel.glsl and
// core/reduce.glsl and defined CHOLESKY_FLOATS, the length of the pool.
//
// The lower triangle lies packed, row after row: element (i, j) at triangle(i) + j. Left-looking, eight columns at a time:
//
//   update   the rows from the block on lose their products with the columns before it
//   factor   every invocation factors the 8 x 8 diagonal block in registers, which saves the barriers of doing it together,
//            and solves for its rows below it
//
// Two barriers for eight columns. A pivot must exceed `tolerance` times the diagonal element that it came from: below, it is
// nothing but rounding errors.
#ifndef HERON_LINALG_CHOLESKY_BLOCK_GLSL
#define HERON_LINALG_CHOLESKY_BLOCK_GLSL

const uint CHOLESKY_WIDTH = 8;

layout(constant_id = SPEC_TILES) const uint ROWS = 1; // of an invocation at a time: where loads are dear, four

shared float pool[CHOLESKY_FLOATS];
shared float corner[CHOLESKY_WIDTH * CHOLESKY_WIDTH]; // the updated diagonal block

uint triangle(uint row) { return row * (row + 1) / 2; }

// 1 / sqrt(x) for normal x, to an ulp or so whatever the driver's inversesqrt is worth.
float reciprocal_root(float x) {
    precise float r = inversesqrt(x);
    precise float error = 1.0 - (x * r) * r;
    r = r + 0.5 * r * error;
    return r;
}

// sqrt(x), given r = 1 / sqrt(x).
float root(float x, float r) {
    precise float s = x * r;
    s = s + 0.5 * r * (x - s * s);
    return s;
}

// Factors the n x n triangle at pool[0]; `diagonal` is where the original diagonal lies in the pool. False when a pivot was
// too small or not finite: the triangle is garbage then. The same answer in all invocations, all of which have to come here
// after a barrier; ends with one.
bool factor_in_pool(uint n, uint diagonal, float tolerance) {
    const uint W = CHOLESKY_WIDTH;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    bool positive = true;
    for (uint c = 0; c < n && positive; c += W) {
        uint columns = min(W, n - c);
        uint other[W];
        [[unroll]] for (uint q = 0; q < W; ++q)
            other[q] = triangle(min(c + q, n - 1));
        for (uint first = c + t; first < n; first += threads * ROWS) {
            uint row[ROWS];
            float acc[ROWS][W];
            [[unroll]] for (uint s = 0; s < ROWS; ++s) {
                uint i = min(first + s * threads, n - 1); // rows beyond the last one repeat it and are not stored
                row[s] = triangle(i);
                [[unroll]] for (uint q = 0; q < W; ++q)
                    acc[s][q] = pool[row[s] + min(c + q, i)]; // what is beyond the diagonal is not used
            }
            for (uint k = 0; k < c; ++k) {
                float x[ROWS];
                [[unroll]] for (uint s = 0; s < ROWS; ++s)
                    x[s] = pool[row[s] + k];
                [[unroll]] for (uint q = 0; q < W; ++q) {
                    float y = pool[other[q] + k];
                    [[unroll]] for (uint s = 0; s < ROWS; ++s)
                        acc[s][q] -= x[s] * y;
                }
            }
            [[unroll]] for (uint s = 0; s < ROWS; ++s) {
                uint i = first + s * threads;
                if (i < c + W && i < n)
                    [[unroll]] for (uint q = 0; q < W; ++q)
                        corner[(i - c) * W + q] = acc[s][q];
                else if (i < n)
                    [[unroll]] for (uint q = 0; q < W; ++q)
                        pool[row[s] + c + q] = acc[s][q];
            }
        }
        barrier();

        float d[W][W];
        float inverse[W];
        [[unroll]] for (uint q = 0; q < W; ++q)
            [[unroll]] for (uint r = 0; r <= q; ++r)
                d[q][r] = q < columns ? corner[q * W + r] : (q == r ? 1.0 : 0.0);
        [[unroll]] for (uint q = 0; q < W; ++q) {
            float pivot = d[q][q];
            float least = q < columns ? tolerance * pool[diagonal + c + q] : 0.0;
            bool good = !is_nonfinite(pivot) && pivot > least && pivot >= 1.1754944e-38;
            positive = positive && good;
            pivot = good ? pivot : 1.0;
            inverse[q] = reciprocal_root(pivot);
            d[q][q] = root(pivot, inverse[q]);
            [[unroll]] for (uint r = q + 1; r < W; ++r)
                d[r][q] *= inverse[q];
            [[unroll]] for (uint r = q + 1; r < W; ++r)
                [[unroll]] for (uint s = q + 1; s <= r; ++s)
                    d[r][s] -= d[r][q] * d[s][q];
        }
        [[unroll]] for (uint q = 0; q < W; ++q)
            if (q < columns && q % threads == t)
                [[unroll]] for (uint r = 0; r <= q; ++r)
                    pool[triangle(c + q) + c + r] = d[q][r];
        for (uint i = c + W + t; i < n; i += threads) {
            uint row = triangle(i) + c;
            float x[W];
            [[unroll]] for (uint q = 0; q < W; ++q) {
                x[q] = pool[row + q];
                [[unroll]] for (uint r = 0; r < q; ++r)
                    x[q] -= x[r] * d[q][r];
                x[q] *= inverse[q];
                pool[row + q] = x[q];
            }
        }
        barrier();
    }
    return positive;
}

#endif
