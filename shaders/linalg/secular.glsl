// SPDX-License-Identifier: MIT
// Where the kernels of one level find things. The includer has included core/kernel.glsl with JOB SecularJob.
#ifndef HERON_LINALG_SECULAR_GLSL
#define HERON_LINALG_SECULAR_GLSL

struct Merge {
    uint j;     // job
    uint group; // of this merge
    uint index; // merge of the batch
    uint m;     // order of the result
    uint base;  // its first element in an array
    uint item;
    uint first; // its first column of the matrix
    uint total; // elements of an array
};

Merge find_merge() {
    Merge x;
    uint group = workgroup_index();
    x.j = find_job(group);
    group -= p.jobs.job[x.j].first_group;
    uint groups = p.jobs.job[x.j].groups;
    uint merges = p.jobs.job[x.j].merges;
    x.index = group / groups;
    x.group = group - x.index * groups;
    x.m = 2 * p.jobs.job[x.j].half_size;
    x.base = x.index * x.m;
    x.item = x.index / merges;
    x.first = (x.index - x.item * merges) * x.m;
    x.total = p.jobs.job[x.j].total;
    return x;
}

// e between the halves.
uint coupling_index(Merge x) { return x.base + x.m / 2 - 1; }

// Index into `values` of a column of the merge, if it is wanted.
bool wanted(Merge x, uint column) { return x.first + column < p.jobs.job[x.j].count; }
uint value_index(Merge x, uint column) { return x.item * p.jobs.job[x.j].count + x.first + column; }

#endif
