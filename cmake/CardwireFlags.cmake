# SPDX-License-Identifier: BSD-3-Clause
# Compiler flags that hold for every target. Sanitizers are chosen by the presets.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

set(CARDWIRE_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined or thread")

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Werror -fno-common -fstack-protector-strong)
add_compile_definitions(_GNU_SOURCE)
if(CARDWIRE_SANITIZE)
	add_compile_options(-fsanitize=${CARDWIRE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
	add_link_options(-fsanitize=${CARDWIRE_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL Debug)
	add_compile_definitions(_FORTIFY_SOURCE=2)
endif()

# Code written by flex is not ours to warn about, beyond what -Wall finds.
function(cardwire_generated_sources)
	set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS
		"-Wno-conversion;-Wno-shadow;-Wno-sign-compare;-Wno-unused-function;-Wno-sign-conversion")
endfunction()
