// SPDX-License-Identifier: MIT
#include "graph/transfer.hpp"

#include <algorithm>
#include <cstring>

#include "core/device.hpp"
#include "core/shared.h"
#include "graph/commands.hpp"
#include "graph/copy.h"
#include "heron/graph.hpp"
#include "heron/spirv/copy.hpp"

namespace heron {

static_assert(sizeof(gpu::CopyJob) == 48);

namespace {

constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20;
constexpr std::uint64_t kJobBytes = 256;

}  // namespace

Transfer::Transfer(const Device& device) : device_(device) {
    Device::Impl& impl = device.impl();
    impl.check_alive();
    if (impl.queue == VK_NULL_HANDLE)
        throw Error(
            ErrorCode::unsupported,
            "reading or writing device memory needs a queue, and the device was adopted without one; give "
            "AdoptedDevice::queue (and lock_queue where other threads use it)");
    staging_ = device.create_buffer(kPieceBytes + kJobBytes, MemoryKind::readback, "transfer");
    const SpecializationConstant threads{gpu::SPEC_THREADS, 64};
    pipeline_ = impl.pipelines->get({spirv::copy, "copy", {&threads, 1}, 64, 0});
    VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    info.queueFamilyIndex = impl.queue_family;
    info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    impl.check(impl.vk.CreateCommandPool(impl.device, &info, impl.allocator, &pool_), "vkCreateCommandPool",
               "transfer");
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = pool_;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    const VkResult result = impl.vk.AllocateCommandBuffers(impl.device, &allocate, &commands_);
    if (result != VK_SUCCESS) {
        impl.vk.DestroyCommandPool(impl.device, pool_, impl.allocator);
        impl.check(result, "vkAllocateCommandBuffers", "transfer");
    }
}

Transfer::~Transfer() {
    Device::Impl& impl = device_.impl();
    if (in_flight_)
        impl.abandon(pool_, std::move(staging_));
    else
        impl.vk.DestroyCommandPool(impl.device, pool_, impl.allocator);
}

void Transfer::copy(VkDeviceAddress from, VkDeviceAddress to, std::uint64_t words) {
    Device::Impl& impl = device_.impl();
    gpu::CopyJob job{};
    job.from = job.from_words = from;
    job.to = job.to_words = to;
    job.quads = (from | to) % 16 == 0 ? static_cast<std::uint32_t>(words / 4) : 0;
    job.words = static_cast<std::uint32_t>(words - std::uint64_t{4} * job.quads);
    std::memcpy(static_cast<std::byte*>(staging_.mapped()) + kPieceBytes, &job, sizeof(job));
    impl.flush(staging_.range());

    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    impl.check(impl.vk.BeginCommandBuffer(commands_, &begin), "vkBeginCommandBuffer", "transfer");
    record_barrier(impl, commands_, {VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, VK_ACCESS_2_MEMORY_WRITE_BIT},
                   {kComputeStage, kShaderRead | kShaderWrite});
    impl.vk.CmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_);
    gpu::Push push{};
    push.jobs = staging_.address() + kPieceBytes;
    push.control = push.jobs;
    push.job_count = 1;
    push.group_end = std::max(1u, (job.quads + gpu::COPY_QUADS_PER_GROUP - 1) / gpu::COPY_QUADS_PER_GROUP);
    record_push(impl, commands_, push);
    impl.vk.CmdDispatch(commands_, push.group_end, 1, 1);
    record_barrier(impl, commands_, {kComputeStage, kShaderWrite},
                   {VK_PIPELINE_STAGE_2_HOST_BIT | VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
                    VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT});
    impl.check(impl.vk.EndCommandBuffer(commands_), "vkEndCommandBuffer", "transfer");
    const std::uint64_t ticket = impl.submit(std::span<const VkCommandBuffer>(&commands_, 1));
    in_flight_ = true;
    constexpr std::uint64_t kTimeoutNs = 60'000'000'000;
    if (!impl.wait(ticket, kTimeoutNs))
        throw Error(ErrorCode::timeout, "a copy to or from the device did not finish within a minute",
                    VK_TIMEOUT);
    in_flight_ = false;
}

void Transfer::read(VkDeviceAddress address, std::span<std::byte> to) {
    for (std::uint64_t done = 0; done < to.size(); done += kPieceBytes) {
        const std::uint64_t bytes = std::min<std::uint64_t>(kPieceBytes, to.size() - done);
        copy(address + done, staging_.address(), (bytes + 3) / 4);
        device_.impl().invalidate(staging_.range());
        std::memcpy(to.data() + done, staging_.mapped(), bytes);
    }
}

void Transfer::write(VkDeviceAddress address, std::span<const std::byte> from) {
    for (std::uint64_t done = 0; done < from.size(); done += kPieceBytes) {
        const std::uint64_t bytes = std::min<std::uint64_t>(kPieceBytes, from.size() - done);
        if (bytes % 4 != 0) {  // the last word is shared with whatever follows: keep its other half
            copy(address + done + bytes / 4 * 4, staging_.address() + bytes / 4 * 4, 1);
            device_.impl().invalidate(staging_.range());
        }
        std::memcpy(staging_.mapped(), from.data() + done, bytes);
        copy(staging_.address(), address + done, (bytes + 3) / 4);
    }
}

}  // namespace heron
