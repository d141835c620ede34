// SPDX-License-Identifier: MIT
// Device memory: blocks that small requests share, a block of its own for a large one, or the caller's
// callbacks.
#include "core/memory.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "core/device.hpp"

namespace heron {
namespace {

// Small requests share blocks of this size, less on a device with a small heap; small is up to a quarter of
// it.
constexpr VkDeviceSize kDeviceBlockBytes = 16u << 20;
constexpr VkDeviceSize kHostBlockBytes = 4u << 20;
// Every VkDeviceMemory is longer than what is used of it: lavapipe 26.1 reads whole vectors of invocations
// where all of them load from one address, and so reads past the end of the last tensor.
constexpr VkDeviceSize kTailBytes = 65536;

const char* to_text(MemoryKind kind) {
    switch (kind) {
        case MemoryKind::device:
            return "device";
        case MemoryKind::upload:
            return "upload";
        case MemoryKind::readback:
            return "readback";
    }
    return "unknown";
}

VkDeviceSize round_up(VkDeviceSize value, VkDeviceSize unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

struct Memory::Block {
    struct Gap {
        VkDeviceSize offset, bytes;
    };

    Device::Impl& device;
    MemoryKind kind = MemoryKind::device;
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    VkDeviceSize capacity = 0;      // of the buffer, without the tail
    VkDeviceSize memory_bytes = 0;  // of the memory
    VkDeviceAddress address = 0;
    std::byte* mapped = nullptr;
    std::uint32_t heap = 0;
    bool coherent = true;
    bool shared = false;         // small requests; a large one has a block of its own
    std::size_t live = 0;        // allocations
    std::vector<Gap> gaps = {};  // sorted by offset, never adjacent; reserved so that free() never allocates

    explicit Block(Device::Impl& d) : device(d) {}
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() {
        if (buffer) device.vk.DestroyBuffer(device.device, buffer, device.allocator);
        if (memory) device.vk.FreeMemory(device.device, memory, device.allocator);
    }

    // First fit. Addresses are aligned, not offsets: a kernel sees only addresses. False where nothing fits.
    bool take(VkDeviceSize bytes, VkDeviceSize alignment, VkDeviceSize& offset) {
        gaps.reserve(live + 3);
        for (std::size_t i = 0; i < gaps.size(); ++i) {
            const Gap gap = gaps[i];
            const VkDeviceSize start = round_up(address + gap.offset, alignment) - address;
            const VkDeviceSize skipped = start - gap.offset;
            if (skipped > gap.bytes || gap.bytes - skipped < bytes) continue;
            const Gap rest{start + bytes, gap.bytes - skipped - bytes};
            if (skipped > 0) {
                gaps[i].bytes = skipped;
                if (rest.bytes > 0) gaps.insert(gaps.begin() + static_cast<std::ptrdiff_t>(i) + 1, rest);
            } else if (rest.bytes > 0) {
                gaps[i] = rest;
            } else {
                gaps.erase(gaps.begin() + static_cast<std::ptrdiff_t>(i));
            }
            ++live;
            offset = start;
            return true;
        }
        return false;
    }

    void give_back(VkDeviceSize offset, VkDeviceSize bytes) noexcept {
        --live;
        auto next =
            std::find_if(gaps.begin(), gaps.end(), [&](const Gap& gap) { return gap.offset > offset; });
        const bool joins_next = next != gaps.end() && next->offset == offset + bytes;
        const bool joins_previous = next != gaps.begin() && (next - 1)->offset + (next - 1)->bytes == offset;
        if (joins_previous) {
            (next - 1)->bytes += bytes + (joins_next ? next->bytes : 0);
            if (joins_next) gaps.erase(next);
        } else if (joins_next) {
            next->offset = offset;
            next->bytes += bytes;
        } else {
            gaps.insert(next, {offset, bytes});
        }
    }
};

Memory::Memory(Device::Impl& device, MemoryCallbacks callbacks)
    : device_(device), callbacks_(std::move(callbacks)) {
    VkPhysicalDeviceMemoryProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    device_.vk.GetPhysicalDeviceMemoryProperties2(device_.physical_device, &properties);
    properties_ = properties.memoryProperties;
}

Memory::~Memory() {
    std::size_t live = 0;
    for (const auto& block : blocks_) live += block->live;
    if (live == 0) return;
    try {
        device_.log(
            Severity::error,
            std::to_string(live) + " buffers outlive their device; their memory is gone, do not touch them");
    } catch (...) {
        // A destructor: there is nobody else to tell.
    }
}

// Types of memory for a kind, best first.
std::vector<std::uint32_t> Memory::types_for(MemoryKind kind, std::uint32_t allowed) const {
    constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    constexpr VkMemoryPropertyFlags kVisible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    constexpr VkMemoryPropertyFlags kCoherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    // Any other property (protected, lazily allocated, AMD's uncached memory) needs a feature that Heron does
    // not use.
    constexpr VkMemoryPropertyFlags kKnown = kLocal | kVisible | kCoherent | kCached;

    std::vector<std::uint32_t> types;
    auto add = [&](VkMemoryPropertyFlags has, VkMemoryPropertyFlags has_not) {
        for (std::uint32_t i = 0; i < properties_.memoryTypeCount; ++i) {
            const VkMemoryPropertyFlags flags = properties_.memoryTypes[i].propertyFlags;
            if ((allowed >> i & 1u) != 0 && (flags & ~kKnown) == 0 && (flags & has) == has &&
                (flags & has_not) == 0 && std::find(types.begin(), types.end(), i) == types.end())
                types.push_back(i);
        }
    };
    switch (kind) {
        case MemoryKind::device:
            add(kLocal, kVisible);
            if (types.empty()) add(kLocal, 0);
            if (types.empty()) add(0, 0);
            break;
        case MemoryKind::upload:
            add(kLocal | kVisible | kCoherent, 0);
            add(kVisible | kCoherent, 0);
            add(kVisible, 0);
            break;
        case MemoryKind::readback:
            add(kVisible | kCoherent | kCached, 0);
            add(kVisible | kCoherent, 0);
            add(kVisible, 0);
            break;
    }
    return types;
}

std::uint64_t Memory::available_bytes(std::uint32_t heap) const {
    if (device_.capabilities.memory_budget) {
        VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
        budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
        VkPhysicalDeviceMemoryProperties2 properties{};
        properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
        properties.pNext = &budget;
        device_.vk.GetPhysicalDeviceMemoryProperties2(device_.physical_device, &properties);
        const std::uint64_t total = budget.heapBudget[heap];
        return total - std::min(total, std::uint64_t{budget.heapUsage[heap]});
    }
    const std::uint64_t total = properties_.memoryHeaps[heap].size;
    return total - std::min(total, heap_bytes_[heap]);
}

std::string Memory::left_text(std::uint32_t heap, std::uint64_t available) const {
    return "heap " + std::to_string(heap) + " has " + bytes_text(available) + " left of " +
           bytes_text(properties_.memoryHeaps[heap].size) +
           (device_.capabilities.memory_budget ? " (VK_EXT_memory_budget)" : "");
}

VkDeviceSize Memory::shared_block_bytes(MemoryKind kind, std::uint32_t heap) const {
    VkDeviceSize bytes = kind == MemoryKind::device ? kDeviceBlockBytes : kHostBlockBytes;
    bytes = std::min(bytes, properties_.memoryHeaps[heap].size / 16);
    if (device_.capabilities.max_allocation_bytes != 0)
        bytes = std::min<VkDeviceSize>(bytes, device_.capabilities.max_allocation_bytes / 4);
    return bytes;
}

bool Memory::has_gap(const MemoryRequest& request) const {
    return std::any_of(blocks_.begin(), blocks_.end(), [&](const auto& block) {
        return block->shared && block->kind == request.kind &&
               std::any_of(block->gaps.begin(), block->gaps.end(), [&](const Block::Gap& gap) {
                   return gap.bytes >= request.bytes + request.alignment;
               });
    });
}

void Memory::require(std::span<const MemoryRequest> requests, std::string_view who) const {
    if (callbacks_.allocate) return;
    const std::lock_guard lock(mutex_);
    std::array<std::uint64_t, VK_MAX_MEMORY_HEAPS> available{};
    for (std::uint32_t heap = 0; heap < properties_.memoryHeapCount; ++heap)
        available[heap] = available_bytes(heap);
    std::array<std::uint64_t, VK_MAX_MEMORY_HEAPS> left = available;
    std::string needs;
    std::string shortage;
    for (const MemoryRequest& request : requests) {
        needs += (needs.empty() ? "" : ", ") + bytes_text(request.bytes) + " for " + request.purpose;
        if (has_gap(request)) continue;
        const VkDeviceSize bytes = request.bytes + request.alignment + kTailBytes;
        std::string full;
        bool fits = false;
        for (const std::uint32_t type : types_for(request.kind, ~std::uint32_t{0})) {
            const std::uint32_t heap = properties_.memoryTypes[type].heapIndex;
            fits = bytes <= left[heap];
            if (fits) {
                left[heap] -= bytes;
                break;
            }
            if (full.find(left_text(heap, available[heap])) == std::string::npos)
                full += (full.empty() ? "" : "; ") + left_text(heap, available[heap]);
        }
        if (!fits && shortage.empty()) shortage = full;
    }
    if (!shortage.empty())
        throw Error(ErrorCode::out_of_device_memory,
                    std::string(who) + " needs " + needs + ": " + shortage + "; nothing was allocated");
}

std::unique_ptr<Memory::Block> Memory::create_block(MemoryKind kind, VkDeviceSize bytes,
                                                    const MemoryRequest& request) {
    const FunctionTable& vk = device_.vk;
    const std::string what = std::string("memory for ") + request.purpose + ", " + bytes_text(bytes);
    auto refuse = [&](const std::string& text, VkResult result = VK_SUCCESS) {
        throw Error(ErrorCode::out_of_device_memory, what + ": " + text, result);
    };
    const Capabilities& limits = device_.capabilities;
    auto block = std::make_unique<Block>(device_);
    block->kind = kind;
    block->capacity = bytes;
    const VkDeviceSize buffer_bytes = bytes + kTailBytes;
    if (buffer_bytes < bytes || (limits.max_buffer_bytes != 0 && buffer_bytes > limits.max_buffer_bytes))
        refuse("a buffer of " + device_.info.name + " has at most " + bytes_text(limits.max_buffer_bytes));

    VkBufferCreateInfo buffer_info{};
    buffer_info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    buffer_info.size = buffer_bytes;
    buffer_info.usage = kBufferUsage;
    buffer_info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    const std::vector<std::uint32_t>& families = device_.queue_families;
    if (families.size() > 1) {
        buffer_info.sharingMode = VK_SHARING_MODE_CONCURRENT;
        buffer_info.queueFamilyIndexCount = static_cast<std::uint32_t>(families.size());
        buffer_info.pQueueFamilyIndices = families.data();
    }
    device_.check(vk.CreateBuffer(device_.device, &buffer_info, device_.allocator, &block->buffer),
                  "vkCreateBuffer", what);
    VkMemoryRequirements requirements{};
    vk.GetBufferMemoryRequirements(device_.device, block->buffer, &requirements);
    block->memory_bytes = requirements.size;
    if (limits.max_allocation_bytes != 0 && requirements.size > limits.max_allocation_bytes)
        refuse("an allocation of " + device_.info.name + " has at most " +
               bytes_text(limits.max_allocation_bytes));

    const std::vector<std::uint32_t> types = types_for(kind, requirements.memoryTypeBits);
    if (types.empty()) refuse(device_.info.name + " has no memory type for it");
    std::string shortage;
    for (std::size_t i = 0; i < types.size() && !block->memory; ++i) {
        const VkMemoryPropertyFlags flags = properties_.memoryTypes[types[i]].propertyFlags;
        block->heap = properties_.memoryTypes[types[i]].heapIndex;
        const bool last = i + 1 == types.size();
        const std::uint64_t available = available_bytes(block->heap);
        if (requirements.size > available) {
            shortage += (shortage.empty() ? "" : "; ") + left_text(block->heap, available);
            if (last) refuse(shortage);
            continue;
        }
        VkMemoryAllocateFlagsInfo flags_info{};
        flags_info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
        flags_info.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
        VkMemoryAllocateInfo allocate_info{};
        allocate_info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
        allocate_info.pNext = &flags_info;
        allocate_info.allocationSize = requirements.size;
        allocate_info.memoryTypeIndex = types[i];
        const VkResult result =
            vk.AllocateMemory(device_.device, &allocate_info, device_.allocator, &block->memory);
        // The small heap that both sides see fills first; another type may be in another heap.
        if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
            block->memory = VK_NULL_HANDLE;
            if (last)
                device_.check(
                    result, "vkAllocateMemory",
                    what + "; heap " + std::to_string(block->heap) + " should have " + bytes_text(available));
            continue;
        }
        device_.check(result, "vkAllocateMemory", what);
        block->coherent = (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
        if ((flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0) {
            void* pointer = nullptr;
            device_.check(vk.MapMemory(device_.device, block->memory, 0, VK_WHOLE_SIZE, 0, &pointer),
                          "vkMapMemory", what);
            block->mapped = static_cast<std::byte*>(pointer);
        }
    }
    device_.check(vk.BindBufferMemory(device_.device, block->buffer, block->memory, 0), "vkBindBufferMemory",
                  what);
    VkBufferDeviceAddressInfo address_info{};
    address_info.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
    address_info.buffer = block->buffer;
    block->address = vk.GetBufferDeviceAddress(device_.device, &address_info);
    if (block->address == 0) refuse("the driver gave no device address");
    block->gaps.push_back({0, block->capacity});
    return block;
}

Memory::Range Memory::allocate(const MemoryRequest& request, std::string_view name) {
    if (request.bytes == 0) throw Error(ErrorCode::invalid_argument, "a buffer of 0 bytes was asked for");
    if (request.alignment == 0 || (request.alignment & (request.alignment - 1)) != 0)
        throw Error(ErrorCode::invalid_argument,
                    "alignment " + std::to_string(request.alignment) + " is not a power of two");
    if (callbacks_.allocate) return allocate_from_callbacks(request);

    // In whole atoms, so that flushing one buffer never touches its neighbour.
    const VkDeviceSize unit = std::max<VkDeviceSize>(device_.non_coherent_atom, 16);
    const VkDeviceSize alignment = std::max(request.alignment, unit);
    const VkDeviceSize limit = ~VkDeviceSize{0} - 2 * kTailBytes - alignment - unit;
    if (request.bytes > limit)
        throw Error(ErrorCode::out_of_device_memory,
                    "a buffer of " + bytes_text(request.bytes) + " was asked for");
    const VkDeviceSize bytes = round_up(request.bytes, unit);
    const std::vector<std::uint32_t> types = types_for(request.kind, ~std::uint32_t{0});
    if (types.empty())
        throw Error(ErrorCode::out_of_device_memory,
                    device_.info.name + " has no memory type for " + to_text(request.kind) + " memory");
    const std::uint32_t heap = properties_.memoryTypes[types.front()].heapIndex;
    const VkDeviceSize block_bytes = shared_block_bytes(request.kind, heap);
    bool shared = bytes + alignment <= block_bytes / 4;

    auto allocation = std::make_unique<Allocation>();
    const std::lock_guard lock(mutex_);
    Block* chosen = nullptr;
    VkDeviceSize offset = 0;
    if (shared)
        for (const auto& block : blocks_)
            if (block->shared && block->kind == request.kind && block->take(bytes, alignment, offset)) {
                chosen = block.get();
                break;
            }
    if (!chosen) {
        // The last bytes of a heap go to the request alone.
        if (shared && available_bytes(heap) < block_bytes + kTailBytes) shared = false;
        blocks_.reserve(blocks_.size() + 1);
        std::unique_ptr<Block> block =
            create_block(request.kind, shared ? block_bytes : bytes + alignment, request);
        block->shared = shared;
        const std::string text = shared ? std::string("heron ") + to_text(request.kind) + " block"
                                        : std::string("heron ") + request.purpose + " " + std::string(name);
        device_.name(VK_OBJECT_TYPE_BUFFER, block->buffer, text);
        device_.name(VK_OBJECT_TYPE_DEVICE_MEMORY, block->memory, text);
        if (!block->take(bytes, alignment, offset))
            throw Error(ErrorCode::internal, "a new memory block does not hold what it was made for");
        chosen = block.get();
        heap_bytes_[block->heap] += block->memory_bytes;
        blocks_.push_back(std::move(block));
    }
    *allocation = {chosen, offset, bytes};
    Range result;
    result.range.buffer = chosen->buffer;
    result.range.offset = offset;
    result.range.bytes = request.bytes;
    result.range.usage = kBufferUsage;
    result.range.mapped = chosen->mapped ? chosen->mapped + offset : nullptr;
    result.address = chosen->address + offset;
    result.allocation = allocation.release();
    return result;
}

Memory::Range Memory::allocate_from_callbacks(const MemoryRequest& request) {
    const BufferRange range = callbacks_.allocate(request);
    const std::string what = std::string("MemoryCallbacks::allocate, asked for ") +
                             std::to_string(request.bytes) + " bytes of " + to_text(request.kind) +
                             " memory for " + request.purpose + ", returned ";
    if (!range.buffer) throw Error(ErrorCode::out_of_device_memory, what + "a null buffer");

    std::string wrong;
    VkDeviceAddress address = 0;
    if ((range.usage & kBufferUsage) != kBufferUsage) {
        wrong =
            "a buffer without the usage STORAGE_BUFFER | TRANSFER_SRC | TRANSFER_DST | INDIRECT_BUFFER | "
            "SHADER_DEVICE_ADDRESS";
    } else if (range.bytes < request.bytes) {
        wrong = "only " + std::to_string(range.bytes) + " bytes";
    } else if (request.kind != MemoryKind::device && !range.mapped) {
        wrong = "a range that is not mapped";
    } else {
        VkBufferDeviceAddressInfo address_info{};
        address_info.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
        address_info.buffer = range.buffer;
        address = device_.vk.GetBufferDeviceAddress(device_.device, &address_info);
        if (address == 0)
            wrong = "a buffer without a device address";
        else if ((address + range.offset) % request.alignment != 0)
            wrong = "an address that is not a multiple of " + std::to_string(request.alignment);
    }
    if (!wrong.empty()) {
        callbacks_.free(range);
        throw Error(ErrorCode::invalid_argument, what + wrong);
    }
    Range result;
    result.range = range;
    result.address = address + range.offset;
    return result;
}

void Memory::free(const BufferRange& range, Allocation* allocation) noexcept {
    if (!allocation) {
        try {
            callbacks_.free(range);
        } catch (...) {
            // A destructor is running: there is nobody to tell.
        }
        return;
    }
    const std::unique_ptr<Allocation> owned(allocation);
    const std::lock_guard lock(mutex_);
    Block* block = allocation->block;
    block->give_back(allocation->offset, allocation->bytes);
    if (block->live > 0) return;
    // One empty block of a kind stays, so that a loop that makes and drops a small buffer does not allocate
    // each time.
    const bool keep =
        block->shared && std::none_of(blocks_.begin(), blocks_.end(), [&](const auto& other) {
            return other.get() != block && other->shared && other->kind == block->kind && other->live == 0;
        });
    if (keep) return;
    heap_bytes_[block->heap] -= block->memory_bytes;
    std::erase_if(blocks_, [&](const auto& other) { return other.get() == block; });
}

template <typename Call>
void Memory::for_mapped_range(const BufferRange& range, const char* name, Call call) {
    VkMappedMemoryRange mapped{};
    mapped.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE;
    {
        const std::lock_guard lock(mutex_);
        const auto block = std::find_if(blocks_.begin(), blocks_.end(),
                                        [&](const auto& b) { return b->buffer == range.buffer; });
        if (block == blocks_.end() || (*block)->coherent || !(*block)->mapped) return;
        const VkDeviceSize atom = device_.non_coherent_atom;
        mapped.memory = (*block)->memory;
        mapped.offset = range.offset / atom * atom;
        const VkDeviceSize end = round_up(range.offset + range.bytes, atom);
        mapped.size = end >= (*block)->memory_bytes ? VK_WHOLE_SIZE : end - mapped.offset;
    }
    device_.check(call(device_.device, 1, &mapped), name);
}

bool Memory::coherent(const BufferRange& range) {
    const std::lock_guard lock(mutex_);
    return std::none_of(blocks_.begin(), blocks_.end(),
                        [&](const auto& block) { return block->buffer == range.buffer && !block->coherent; });
}

void Memory::flush(const BufferRange& range) {
    for_mapped_range(range, "vkFlushMappedMemoryRanges", device_.vk.FlushMappedMemoryRanges);
}

void Memory::invalidate(const BufferRange& range) {
    for_mapped_range(range, "vkInvalidateMappedMemoryRanges", device_.vk.InvalidateMappedMemoryRanges);
}

std::uint64_t Memory::allocated_bytes() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t total = 0;
    for (std::uint64_t bytes : heap_bytes_) total += bytes;
    return total;
}

}  // namespace heron
