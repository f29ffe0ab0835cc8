/* A program that is not Python and knows NVML by its symbols: lists all MIG devices, then makes
   one more 1g at start 0 of GPU 0. Prints the code of the first call that fails. */

#include <stdio.h>

typedef struct { unsigned int start, size; } Placement;

int nvmlInit_v2(void);
int nvmlShutdown(void);
const char *nvmlErrorString(int code);
int nvmlDeviceGetCount_v2(unsigned int *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device);
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned int *count);
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned int index, void **mig_device);
int nvmlDeviceGetName(void *device, char *name, unsigned int length);
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned int length);
int nvmlDeviceCreateGpuInstanceWithPlacement(
    void *device, unsigned int profile, const Placement *placement, void **instance);

static int check(const char *what, int code)
{
    if (code)
        printf("%s: %d %s\n", what, code, nvmlErrorString(code));
    return code;
}

static void list(void *device)
{
    unsigned int count, index;
    void *mig_device;
    char name[96], uuid[96];

    nvmlDeviceGetMaxMigDeviceCount(device, &count);
    for (index = 0; index < count; index++) {
        if (nvmlDeviceGetMigDeviceHandleByIndex(device, index, &mig_device))
            continue;
        nvmlDeviceGetName(mig_device, name, sizeof name);
        nvmlDeviceGetUUID(mig_device, uuid, sizeof uuid);
        printf("%u %s %s\n", index, uuid, name);
    }
}

int main(void)
{
    unsigned int count, index;
    void *device, *instance;
    Placement first = {0, 1};

    if (check("nvmlInit", nvmlInit_v2()))
        return 1;
    nvmlDeviceGetCount_v2(&count);
    for (index = 0; index < count; index++) {
        nvmlDeviceGetHandleByIndex_v2(index, &device);
        list(device);
    }
    nvmlDeviceGetHandleByIndex_v2(0, &device);
    check("create", nvmlDeviceCreateGpuInstanceWithPlacement(device, 14, &first, &instance));
    check("create again", nvmlDeviceCreateGpuInstanceWithPlacement(device, 14, &first, &instance));
    return check("nvmlShutdown", nvmlShutdown());
}
