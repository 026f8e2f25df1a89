/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names Windows gives to integer types and pointers, with the widths PC/SC programs on Unix
 * were compiled for: DWORD and LONG are `unsigned long` and `long` (8 bytes on LP64), except on
 * macOS, where they have 32 bits.
 *
 * Types that another Windows-like header may already have defined are left out: BYTE if it is a
 * macro, LPVOID, ULONG (and BOOL on macOS) beside Apple's CFPlugInCOM.h.
 */
#ifndef __wintypes_h__
#define __wintypes_h__

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __APPLE__

#include <stdint.h>

#ifndef BYTE
typedef uint8_t BYTE;
#endif
typedef uint8_t UCHAR;
typedef uint16_t USHORT;
typedef uint16_t WORD;
typedef uint32_t DWORD;
typedef int32_t LONG;
#ifndef __COREFOUNDATION_CFPLUGINCOM__
typedef uint32_t ULONG;
typedef void *LPVOID;
typedef int16_t BOOL;
#endif

#else

#ifndef BYTE
typedef unsigned char BYTE;
#endif
typedef unsigned char UCHAR;
typedef unsigned short USHORT;
typedef unsigned short WORD;
typedef short BOOL;
typedef unsigned long DWORD;
typedef long LONG;
#ifndef __COREFOUNDATION_CFPLUGINCOM__
typedef unsigned long ULONG;
typedef void *LPVOID;
#endif

#endif

typedef char *LPSTR;
typedef const char *LPCSTR;
typedef LPSTR LPTSTR;
typedef LPCSTR LPCTSTR;
typedef const void *LPCVOID;
typedef BYTE *LPBYTE;
typedef const BYTE *LPCBYTE;
typedef UCHAR *PUCHAR;
typedef DWORD *PDWORD;
typedef DWORD *LPDWORD;
typedef ULONG *PULONG;

#ifdef __cplusplus
}
#endif

#endif
