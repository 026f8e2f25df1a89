/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's log as IFD handlers use it: the daemon exports these functions to the libraries it
 * loads. Drivers compiled with NO_LOG make no call.
 */
#ifndef __debuglog_h__
#define __debuglog_h__

#ifndef PCSC_API
#define PCSC_API
#endif

#if !defined(__GNUC__)
#define __attribute__(x)
#define __FUNCTION__ ""
#endif

/* Levels, in rising order of weight. */
enum {
	PCSC_LOG_DEBUG = 0,
	PCSC_LOG_INFO,
	PCSC_LOG_ERROR,
	PCSC_LOG_CRITICAL
};

/* Sinks and categories; the names exist for drivers' sake. */
enum {
	DEBUGLOG_NO_DEBUG = 0,
	DEBUGLOG_SYSLOG_DEBUG,
	DEBUGLOG_STDOUT_DEBUG,
	DEBUGLOG_STDOUT_COLOR_DEBUG
};

#define DEBUG_CATEGORY_NOTHING 0
#define DEBUG_CATEGORY_APDU    1
#define DEBUG_CATEGORY_SW      2

#ifdef __cplusplus
extern "C" {
#endif

/* Writes one line of printf format. */
PCSC_API void log_msg(const int priority, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same, and the return code `rv` in words. */
PCSC_API void log_msg_rv(const int priority, unsigned int rv, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes `msg` and `size` bytes in hexadecimal. */
PCSC_API void log_xxd(
	const int priority, const char *msg, const unsigned char *buffer, const int size);

/* Lines below `level` are not written. */
PCSC_API void DebugLogSetLevel(const int level);

#ifdef __cplusplus
}
#endif

/* The number in each name counts the arguments: level, format, data. */
#ifdef NO_LOG

#define Log0(priority)                                      ((void)0)
#define Log1(priority, fmt)                                 ((void)0)
#define Log2(priority, fmt, data)                           ((void)0)
#define Log3(priority, fmt, data1, data2)                   ((void)0)
#define Log4(priority, fmt, data1, data2, data3)            ((void)0)
#define Log5(priority, fmt, data1, data2, data3, data4)     ((void)0)
#define Log9(priority, fmt, d1, d2, d3, d4, d5, d6, d7, d8) ((void)0)
#define LogRv4(priority, rv, fmt, data1, data2)             ((void)0)
#define LogXxd(priority, msg, buffer, size)                 ((void)0)
#define DebugLogA(a)
#define DebugLogB(a, b)
#define DebugLogC(a, b, c)

#else

#define PCSC_LOG_PLACE __FILE__, __LINE__, __FUNCTION__

#define Log0(priority)            log_msg(priority, "%s:%d:%s()", PCSC_LOG_PLACE)
#define Log1(priority, fmt)       log_msg(priority, "%s:%d:%s() " fmt, PCSC_LOG_PLACE)
#define Log2(priority, fmt, data) log_msg(priority, "%s:%d:%s() " fmt, PCSC_LOG_PLACE, data)
#define Log3(priority, fmt, data1, data2)                                                          \
	log_msg(priority, "%s:%d:%s() " fmt, PCSC_LOG_PLACE, data1, data2)
#define Log4(priority, fmt, data1, data2, data3)                                                   \
	log_msg(priority, "%s:%d:%s() " fmt, PCSC_LOG_PLACE, data1, data2, data3)
#define Log5(priority, fmt, data1, data2, data3, data4)                                            \
	log_msg(priority, "%s:%d:%s() " fmt, PCSC_LOG_PLACE, data1, data2, data3, data4)
#define Log9(priority, fmt, d1, d2, d3, d4, d5, d6, d7, d8)                                        \
	log_msg(priority, "%s:%d:%s() " fmt, PCSC_LOG_PLACE, d1, d2, d3, d4, d5, d6, d7, d8)
#define LogRv4(priority, rv, fmt, data1, data2)                                                    \
	log_msg_rv(priority, rv, "%s:%d:%s() " fmt, PCSC_LOG_PLACE, data1, data2)
#define LogXxd(priority, msg, buffer, size) log_xxd(priority, msg, buffer, size)
#define DebugLogA(a)                        Log1(PCSC_LOG_INFO, a)
#define DebugLogB(a, b)                     Log2(PCSC_LOG_INFO, a, b)
#define DebugLogC(a, b, c)                  Log3(PCSC_LOG_INFO, a, b, c)

#endif

#endif
