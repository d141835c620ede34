# SPDX-License-Identifier: MIT
# Script: in the SPIR-V file SPV, loads of buffer references say that these are aligned to their 8 bytes, as
# VUID-StandaloneSpirv-PhysicalStorageBuffer64-06314 demands. glslang before 16 says the alignment of what they refer
# to, which older validators let pass. SPIRV_DIS and SPIRV_AS are the programs; the module says that they wrote it.
execute_process(COMMAND ${SPIRV_DIS} ${SPV} OUTPUT_VARIABLE before COMMAND_ERROR_IS_FATAL ANY)
set(load "OpLoad %_ptr_PhysicalStorageBuffer_[A-Za-z0-9_]+ %[A-Za-z0-9_]+ [A-Za-z|]*Aligned[A-Za-z|]*")
string(REGEX REPLACE "(${load}) [124]([ \n])" "\\1 8\\2" after "${before}")
if(after STREQUAL before)
    return()
endif()
file(WRITE ${SPV}.txt "${after}")
execute_process(COMMAND ${SPIRV_AS} --target-env vulkan1.3 --preserve-numeric-ids ${SPV}.txt -o ${SPV}
    COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${SPV}.txt)
