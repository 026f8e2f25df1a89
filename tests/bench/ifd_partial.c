/* SPDX-License-Identifier: BSD-3-Clause */
/* An IFD handler that lacks all entry points but one: a daemon must refuse it and go on. */
#include <ifdhandler.h>

__attribute__((visibility("default"))) RESPONSECODE IFDHCreateChannelByName(
	DWORD Lun, LPSTR DeviceName)
{
	(void)Lun;
	(void)DeviceName;
	return IFD_SUCCESS;
}
