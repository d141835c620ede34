// SPDX-License-Identifier: MIT
// What becomes of the kept Cholesky factor of a gradient window's system, one workgroup a window. By mode (woodbury.h):
//
//   choose  Where nothing has changed in the system, nothing has to be done; where all changes are in one row and its
//           column, that row is replaced. Else the factor is made anew, as it is after as many replacements as there
//           are rows, which leave errors.
//   judge   Where a replacement has failed it is made anew, too.
//   note    There is a factor where the last factorisation was of the system itself, without jitter.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyKeepJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

shared uint most;   // changes in a row
shared uint center; // the first row that has as many
shared uint others; // 1: not all changes are in its row and column

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    F32 b = p.jobs.job[j].b;
    U32 changes = p.jobs.job[j].changes;
    U32 kept = p.jobs.job[j].kept;
    U32 info = p.jobs.job[j].info;
    U32 row = p.jobs.job[j].row;
    F32 column = p.jobs.job[j].column;
    U32 replacement = p.jobs.job[j].replacement;
    U32 anew = p.jobs.job[j].anew;
    U32 status = p.jobs.job[j].status;
    F32 jitter = p.jobs.job[j].jitter;
    uint rows = p.jobs.job[j].rows;
    uint mode = p.jobs.job[j].mode;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint first = item * rows;
    uint last = rows - 1;
    uint at = item * WOODBURY_KEPT_WORDS;

    if (t == 0) {
        most = 0;
        center = rows;
        others = 0;
    }
    barrier();
    // Other modes have nothing to count.
    uint counted = mode == WOODBURY_KEEP_CHOOSE ? rows : 0;
    for (uint i = t; i < counted; i += threads)
        atomicMax(most, changes.v[2 * (first + min(i, last))]);
    barrier();
    for (uint i = t; i < counted; i += threads)
        if (most > 0 && changes.v[2 * (first + min(i, last))] == most)
            atomicMin(center, i);
    barrier();
    for (uint i = t; i < counted; i += threads) {
        uint count = changes.v[2 * (first + min(i, last))];
        uint col = changes.v[2 * (first + min(i, last)) + 1];
        if (i != center && (count > 1 || (count == 1 && col != center)))
            atomicOr(others, 1);
        column.v[first + min(i, last)] = b.v[(first + min(center, last)) * rows + min(i, last)];
    }
    barrier();
    if (t != 0)
        return;
    if (mode == WOODBURY_KEEP_CHOOSE) {
        bool known = kept.v[at + WOODBURY_KNOWN] != 0;
        bool make = !known || others != 0 || (center < rows && kept.v[at + WOODBURY_REPLACED] >= rows);
        row.v[item] = make ? rows : center;
        anew.v[item] = make ? 1 : 0;
        status.v[item] = STATUS_OK;
        jitter.v[item] = 0.0;
    } else if (mode == WOODBURY_KEEP_JUDGE) {
        bool replaces = row.v[item] < rows;
        if (replaces && replacement.v[item] != STATUS_OK) {
            anew.v[item] = 1;
            kept.v[at + WOODBURY_BROKEN_DOWN] = kept.v[at + WOODBURY_BROKEN_DOWN] + 1;
        }
        if (anew.v[item] != 0) {
            kept.v[at + WOODBURY_MADE] = kept.v[at + WOODBURY_MADE] + 1;
            kept.v[at + WOODBURY_REPLACED] = 0;
        } else if (replaces) {
            kept.v[at + WOODBURY_REPLACED] = kept.v[at + WOODBURY_REPLACED] + 1;
        }
        kept.v[at + WOODBURY_KNOWN_EXPONENT] = info.v[item * WOODBURY_INFO_WORDS + WOODBURY_EXPONENT];
    } else {
        kept.v[at + WOODBURY_KNOWN] = status.v[item] == STATUS_OK ? 1 : 0;
    }
}
