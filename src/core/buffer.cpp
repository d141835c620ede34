// SPDX-License-Identifier: MIT
// Buffers, views of them, and blocking copies from and to the host.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/device.hpp"

namespace heron {
namespace {

// Larger copies go through a staging buffer of this size, piece by piece.
constexpr std::uint64_t kStagingBytes = 32u << 20;
constexpr std::uint64_t kCopyTimeout_ns = 60'000'000'000;

void refuse(bool wrong, const std::string& text) {
    if (wrong) throw Error(ErrorCode::invalid_argument, text);
}

TensorView make_view(std::uint64_t device, VkDeviceAddress base, std::uint64_t bytes, DType dtype,
                     const Shape& shape, std::uint64_t byte_offset, std::uint64_t row_stride) {
    refuse(static_cast<std::uint32_t>(dtype) > static_cast<std::uint32_t>(DType::u32),
           "view: dtype " + std::to_string(static_cast<std::uint32_t>(dtype)) + " does not exist");
    const TensorView view{base + byte_offset, dtype, shape, row_stride, device};
    const std::uint64_t span = view.span_bytes();
    refuse(byte_offset > bytes || span > bytes - byte_offset,
           "view: " + std::string(to_string(dtype)) + " tensor " + shape.text() + " needs " +
               std::to_string(span) + " bytes at offset " + std::to_string(byte_offset) + ", the range has " +
               std::to_string(bytes));
    refuse(view.address % 4 != 0, "view: the tensor's address is not a multiple of 4 bytes (byte offset " +
                                      std::to_string(byte_offset) + ")");
    return view;
}

void check_span(const char* function, std::uint64_t offset, std::uint64_t count, std::uint64_t bytes) {
    refuse(offset > bytes || count > bytes - offset, std::string(function) + ": " + std::to_string(count) +
                                                         " bytes at offset " + std::to_string(offset) +
                                                         " do not fit into " + std::to_string(bytes));
}

BufferRange part(const BufferRange& range, std::uint64_t offset, std::uint64_t bytes) {
    BufferRange piece = range;
    piece.offset += offset;
    piece.bytes = bytes;
    if (piece.mapped) piece.mapped = static_cast<std::byte*>(piece.mapped) + offset;
    return piece;
}

// Host memory through which `bytes` go, in pieces where they are many.
Buffer make_staging(Device::Impl& device, MemoryKind kind, std::uint64_t bytes, std::string_view name) {
    MemoryRequest request;
    request.kind = kind;
    request.bytes = std::min(bytes, std::uint64_t{kStagingBytes});
    request.purpose = "staging";
    return BufferAccess::create(device, request, name);
}

}  // namespace

// --- Device

Buffer BufferAccess::create(Device::Impl& device, const MemoryRequest& request, std::string_view name) {
    device.check_alive();
    Memory::Range range = device.memory->allocate(request, name);
    Buffer buffer;
    buffer.device_ = &device;
    buffer.range_ = range.range;
    buffer.address_ = range.address;
    buffer.bytes_ = request.bytes;
    buffer.allocation_ = range.allocation;
    return buffer;
}

Buffer Device::create_buffer(std::uint64_t bytes, MemoryKind kind, std::string_view name) const {
    MemoryRequest request;
    request.kind = kind;
    request.bytes = bytes;
    request.purpose = "buffer";
    return BufferAccess::create(*impl_, request, name);
}

TensorView Device::view(const BufferRange& range, DType dtype, const Shape& shape, std::uint64_t byte_offset,
                        std::uint64_t row_stride) const {
    impl_->check_alive();
    refuse(!range.buffer, "view: the buffer is null");
    refuse((range.usage & VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT) == 0,
           "view: the buffer's usage lacks VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT; create it with that "
           "flag and its "
           "memory with VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT, and set BufferRange::usage");
    // Everything that needs no address first: the driver is asked only about what can be right.
    make_view(impl_->id, 0, range.bytes, dtype, shape, byte_offset & ~std::uint64_t{3}, row_stride);
    VkBufferDeviceAddressInfo address_info{};
    address_info.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
    address_info.buffer = range.buffer;
    const VkDeviceAddress base = impl_->vk.GetBufferDeviceAddress(impl_->device, &address_info);
    refuse(base == 0,
           "view: the buffer has no device address; was its memory allocated with "
           "VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT and bound?");
    return make_view(impl_->id, base + range.offset, range.bytes, dtype, shape, byte_offset, row_stride);
}

void Device::Impl::abandon(VkCommandPool pool, Buffer staging) noexcept {
    const std::lock_guard lock(submit_mutex_);
    abandoned_.push_back(
        {pool, std::move(staging)});  // out of host memory here ends the process: nothing else is safe
}

void Device::Impl::copy(const BufferRange& from, const BufferRange& to, Buffer& staging) {
    struct Pool {
        Impl& device;
        VkCommandPool handle = VK_NULL_HANDLE;
        ~Pool() {
            if (handle) device.vk.DestroyCommandPool(device.device, handle, device.allocator);
        }
    } pool{*this};
    VkCommandPoolCreateInfo pool_info{};
    pool_info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool_info.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    pool_info.queueFamilyIndex = queue_family;
    check(vk.CreateCommandPool(device, &pool_info, allocator, &pool.handle), "vkCreateCommandPool", "copy");
    name(VK_OBJECT_TYPE_COMMAND_POOL, pool.handle, "heron copy");
    VkCommandBufferAllocateInfo allocate_info{};
    allocate_info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    allocate_info.commandPool = pool.handle;
    allocate_info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate_info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    check(vk.AllocateCommandBuffers(device, &allocate_info, &commands), "vkAllocateCommandBuffers", "copy");
    name(VK_OBJECT_TYPE_COMMAND_BUFFER, commands, "heron copy");

    VkCommandBufferBeginInfo begin_info{};
    begin_info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin_info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    check(vk.BeginCommandBuffer(commands, &begin_info), "vkBeginCommandBuffer", "copy");
    // Whatever was submitted before on this queue, and whatever comes after, host included.
    VkMemoryBarrier2 barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2;
    VkDependencyInfo dependency{};
    dependency.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO;
    dependency.memoryBarrierCount = 1;
    dependency.pMemoryBarriers = &barrier;
    barrier.srcStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    barrier.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT;
    barrier.dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT;
    barrier.dstAccessMask = VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
    vk.CmdPipelineBarrier2(commands, &dependency);
    const VkBufferCopy region{from.offset, to.offset, from.bytes};
    vk.CmdCopyBuffer(commands, from.buffer, to.buffer, 1, &region);
    barrier.srcStageMask = VK_PIPELINE_STAGE_2_COPY_BIT;
    barrier.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT;
    barrier.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_2_HOST_BIT;
    barrier.dstAccessMask =
        VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT | VK_ACCESS_2_HOST_READ_BIT;
    vk.CmdPipelineBarrier2(commands, &dependency);
    check(vk.EndCommandBuffer(commands), "vkEndCommandBuffer", "copy");

    const std::uint64_t value = submit({&commands, 1});
    bool done = false;
    try {
        done = wait(value, kCopyTimeout_ns);
    } catch (...) {
        abandon(std::exchange(pool.handle, VK_NULL_HANDLE), std::move(staging));
        throw;
    }
    if (done) return;
    abandon(std::exchange(pool.handle, VK_NULL_HANDLE), std::move(staging));
    throw Error(ErrorCode::timeout,
                "a copy of " + bytes_text(from.bytes) + " did not end within 60 s on " + info.name,
                VK_TIMEOUT);
}

// --- Buffer

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    if (this == &other) return *this;
    if (device_) device_->memory->free(range_, static_cast<Memory::Allocation*>(allocation_));
    device_ = std::exchange(other.device_, nullptr);
    range_ = std::exchange(other.range_, {});
    address_ = std::exchange(other.address_, 0);
    bytes_ = std::exchange(other.bytes_, 0);
    allocation_ = std::exchange(other.allocation_, nullptr);
    return *this;
}

Buffer::~Buffer() {
    if (device_) device_->memory->free(range_, static_cast<Memory::Allocation*>(allocation_));
}

TensorView Buffer::view(DType dtype, const Shape& shape, std::uint64_t byte_offset,
                        std::uint64_t row_stride) const {
    refuse(!device_, "view: the buffer is empty");
    return make_view(device_->id, address_, bytes_, dtype, shape, byte_offset, row_stride);
}

void Buffer::write(std::span<const std::byte> data, std::uint64_t byte_offset) {
    refuse(!device_, "Buffer::write: the buffer is empty");
    device_->check_alive();
    check_span("Buffer::write", byte_offset, data.size(), bytes_);
    if (data.empty()) return;
    if (range_.mapped) {
        std::memcpy(static_cast<std::byte*>(range_.mapped) + byte_offset, data.data(), data.size());
        device_->flush(part(range_, byte_offset, data.size()));
        return;
    }
    Buffer staging = make_staging(*device_, MemoryKind::upload, data.size(), "write");
    for (std::uint64_t done = 0; done < data.size();) {
        const std::uint64_t count = std::min<std::uint64_t>(data.size() - done, staging.bytes());
        std::memcpy(staging.mapped(), data.data() + done, count);
        const BufferRange from = part(staging.range(), 0, count);
        device_->flush(from);
        device_->copy(from, part(range_, byte_offset + done, count), staging);
        done += count;
    }
}

void Buffer::read(std::span<std::byte> data, std::uint64_t byte_offset) const {
    refuse(!device_, "Buffer::read: the buffer is empty");
    device_->check_alive();
    check_span("Buffer::read", byte_offset, data.size(), bytes_);
    if (data.empty()) return;
    if (range_.mapped) {
        device_->invalidate(part(range_, byte_offset, data.size()));
        std::memcpy(data.data(), static_cast<const std::byte*>(range_.mapped) + byte_offset, data.size());
        return;
    }
    Buffer staging = make_staging(*device_, MemoryKind::readback, data.size(), "read");
    for (std::uint64_t done = 0; done < data.size();) {
        const std::uint64_t count = std::min<std::uint64_t>(data.size() - done, staging.bytes());
        const BufferRange to = part(staging.range(), 0, count);
        device_->copy(part(range_, byte_offset + done, count), to, staging);
        device_->invalidate(to);
        std::memcpy(data.data() + done, to.mapped, count);
        done += count;
    }
}

}  // namespace heron
