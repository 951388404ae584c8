/* Stands in for Kinova's SDK where there is no arm: its exported names, structures and return
 * codes, over a twin in another process. The two share one file of memory (ADP_ROS_STAND_IN):
 * points go one way through a queue of 2000 that lives there, so that it runs out when this side
 * dies; measurements come back. Faults are ordered in the same memory, see stand_in.py, which has
 * the same layout.
 *
 * cc -O2 -shared -fPIC -o USBCommandLayerUbuntu.so stand_in.c; -DETHERNET for the other one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef ETHERNET
#define API(name) Ethernet_##name
#define COMM_LAYER "EthCommLayerUbuntu.so"
#else
#define API(name) name
#define COMM_LAYER "USBCommLayerUbuntu.so"
#endif

enum { OK = 1, GONE = 1011, NO_DEVICE = 1015, NO_COMM_LAYER = 2002, NOT_INITIALISED = 2101 };
enum { FIFO = 2000, RING = 2048, FUNCTIONS = 48 };

#define EACH(F)                                                                                   \
  F(InitAPI) F(InitEthernetAPI) F(CloseAPI) F(GetAPIVersion) F(RefresDevicesList) F(GetDevices)   \
  F(SetActiveDevice) F(StartControlAPI) F(StopControlAPI) F(EraseAllTrajectories)                 \
  F(SetCartesianControl) F(SetAngularControl) F(SetFrameType) F(SendAdvanceTrajectory)            \
  F(GetGlobalTrajectoryInfo) F(GetAngularPosition) F(GetAngularVelocity) F(GetAngularForce)       \
  F(GetAngularForceGravityFree) F(GetAngularCurrent) F(GetCartesianPosition) F(GetCartesianForce) \
  F(GetSensorsInfo) F(GetQuickStatus) F(GetControlType) F(GetJoystickValue) F(MoveHome)           \
  F(InitFingers) F(SetTorqueZero) F(SetGravityType) F(SetTorqueSafetyFactor)                      \
  F(GetSystemErrorCount) F(GetSystemError) F(ClearErrorLog)
#define NUMBER(name) N_##name,
#define NAME(name) #name,
enum { EACH(NUMBER) N_END };
static const char *const names[] = {EACH(NAME) NULL};

typedef struct { float a[7], f[3]; } AngularPosition;
typedef struct { float c[6], f[3]; } CartesianPosition;
typedef struct { uint32_t count; float used; uint32_t size; } TrajectoryFIFO;
typedef struct { float v[15]; } SensorsInfo;
typedef struct { uint8_t v[14]; } QuickStatus;
typedef struct { char serial[20], model[20]; int32_t version[3], type, id; } KinovaDevice;
typedef struct {
  int32_t type; float delay, cartesian[6], actuators[7]; int32_t hand; float fingers[3];
  int32_t limited, synchro; float limits[9];
} TrajectoryPoint;
typedef struct { int16_t buttons[16]; float axes[6]; } JoystickCommand;
typedef struct { uint32_t w[59]; } SystemError;

typedef struct { int32_t type, hand; float v[7], fingers[3]; } Point;
typedef struct {
  double twin_time, last_call[FUNCTIONS];
  uint32_t calls[FUNCTIONS];
  int32_t fails[FUNCTIONS];
  uint32_t hangs[FUNCTIONS];
  uint32_t call_us, old_data, unplugged, joystick, robot_type, devices;
  uint32_t control, homes, homes_done, finger_inits, finger_inits_done, torque_zeros;
  uint32_t sequence, homing, at_home;
  float joints[7], speeds[7], torques[7], gravity_free[7], pose[6], fingers[3], force[6];
  uint32_t head, taken, erased, largest, lost;
  Point points[RING];
} Arm;

static Arm *arm;
static Arm before; /* what reads return while old_data is ordered */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void rest(uint32_t us) {
  struct timespec t = {us / 1000000, 1000L * (us % 1000000)};
  nanosleep(&t, NULL);
}

static int dead(void) { return arm->unplugged || now() - arm->twin_time > 1.0; }

/* What every call does first: count, hang, take its time, fail as ordered. */
static int begin(int number) {
  if (!arm) return NOT_INITIALISED;
  arm->last_call[number] = now();
  arm->calls[number]++;
  while (arm->hangs[number]) rest(1000);
  if (arm->call_us) rest(arm->call_us);
  if (arm->fails[number]) return arm->fails[number];
  return dead() ? GONE : OK;
}
#define BEGIN(name)                    \
  do {                                 \
    int code = begin(N_##name);        \
    if (code != OK) return code;       \
  } while (0)

static uint32_t waiting(void) {
  uint32_t from = arm->taken;
  if ((int32_t)(arm->erased - from) > 0) from = arm->erased;
  return arm->head - from;
}

/* One state that the twin was not writing meanwhile. */
static Arm *state(void) {
  static Arm copy;
  if (arm->old_data) return &before;
  uint32_t first;
  do {
    while ((first = __atomic_load_n(&arm->sequence, __ATOMIC_ACQUIRE)) & 1) rest(10);
    memcpy(copy.joints, arm->joints, (char *)&arm->head - (char *)arm->joints);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
  } while (first != __atomic_load_n(&arm->sequence, __ATOMIC_RELAXED));
  memcpy(before.joints, copy.joints, (char *)&arm->head - (char *)arm->joints);
  return &copy;
}

const char *StandInName(int number) { return number < N_END ? names[number] : NULL; }
int StandInSize(void) { return (int)sizeof(Arm); }

static int open_arm(int number) {
  if (!dlopen(COMM_LAYER, RTLD_NOW)) return NO_COMM_LAYER;
  const char *path = getenv("ADP_ROS_STAND_IN");
  int file = path ? open(path, O_RDWR) : -1;
  if (file < 0) return NO_DEVICE;
  if (!arm) {
    void *memory = mmap(NULL, sizeof(Arm), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED || lseek(file, 0, SEEK_END) < (off_t)sizeof(Arm)) memory = NULL;
    arm = memory;
  }
  close(file);
  if (!arm) return NO_DEVICE;
  int code = begin(number);
  if (code != OK) munmap(arm, sizeof(Arm)), arm = NULL;
  return code == GONE ? NO_DEVICE : code;
}

int API(InitAPI)(void) { return open_arm(N_InitAPI); }
int API(InitEthernetAPI)(void *config) {
  (void)config;
  printf("stand-in: sockets opened\n");
  return open_arm(N_InitEthernetAPI);
}
int API(CloseAPI)(void) {
  int code = arm ? begin(N_CloseAPI) : OK;
  if (arm) munmap(arm, sizeof(Arm));
  arm = NULL;
  return code;
}
int API(GetAPIVersion)(int version[3]) {
  version[0] = 5, version[1] = 2, version[2] = 0;
  return OK;
}
int API(RefresDevicesList)(void) { BEGIN(RefresDevicesList); return OK; }
int API(GetDevices)(KinovaDevice devices[20], int *result) {
  int code = begin(N_GetDevices);
  *result = code;
  if (code != OK) return 0;
  for (uint32_t i = 0; i < arm->devices && i < 20; i++) {
    memset(&devices[i], 0, sizeof devices[i]);
    snprintf(devices[i].serial, 20, "STAND-IN-%u", i + 1);
    snprintf(devices[i].model, 20, "Jaco2 stand-in");
    devices[i].version[0] = 6;
    devices[i].type = 3;
  }
  return arm->devices < 20 ? (int)arm->devices : 20;
}
int API(SetActiveDevice)(KinovaDevice device) { (void)device; BEGIN(SetActiveDevice); return OK; }
int API(StartControlAPI)(void) { BEGIN(StartControlAPI); arm->control = 1; return OK; }
int API(StopControlAPI)(void) { BEGIN(StopControlAPI); arm->control = 0; return OK; }
int API(EraseAllTrajectories)(void) {
  BEGIN(EraseAllTrajectories);
  arm->erased = arm->head;
  return OK;
}
int API(SetCartesianControl)(void) { BEGIN(SetCartesianControl); return OK; }
int API(SetAngularControl)(void) { BEGIN(SetAngularControl); return OK; }
int API(SetFrameType)(int type) { (void)type; BEGIN(SetFrameType); return OK; }
int API(SendAdvanceTrajectory)(TrajectoryPoint point) {
  BEGIN(SendAdvanceTrajectory);
  if (!arm->control) return OK;
  if (waiting() >= FIFO) { arm->lost++; return OK; }
  Point *next = &arm->points[arm->head % RING];
  next->type = point.type, next->hand = point.hand;
  if (point.type == 8) memcpy(next->v, point.actuators, sizeof point.actuators);
  else memcpy(next->v, point.cartesian, sizeof point.cartesian);
  memcpy(next->fingers, point.fingers, sizeof point.fingers);
  __atomic_store_n(&arm->head, arm->head + 1, __ATOMIC_RELEASE);
  if (waiting() > arm->largest) arm->largest = waiting();
  return OK;
}
int API(GetGlobalTrajectoryInfo)(TrajectoryFIFO *info) {
  BEGIN(GetGlobalTrajectoryInfo);
  info->count = waiting(), info->size = FIFO, info->used = 100.0f * info->count / FIFO;
  return OK;
}
static int angular(AngularPosition *result, const float *values, const float *fingers) {
  memcpy(result->a, values, sizeof result->a);
  memset(result->f, 0, sizeof result->f);
  if (fingers) memcpy(result->f, fingers, sizeof result->f);
  return OK;
}
int API(GetAngularPosition)(AngularPosition *result) {
  BEGIN(GetAngularPosition);
  Arm *s = state();
  return angular(result, s->joints, s->fingers);
}
int API(GetAngularVelocity)(AngularPosition *result) {
  BEGIN(GetAngularVelocity);
  return angular(result, state()->speeds, NULL);
}
int API(GetAngularForce)(AngularPosition *result) {
  BEGIN(GetAngularForce);
  return angular(result, state()->torques, NULL);
}
int API(GetAngularForceGravityFree)(AngularPosition *result) {
  BEGIN(GetAngularForceGravityFree);
  return angular(result, state()->gravity_free, NULL);
}
int API(GetAngularCurrent)(AngularPosition *result) {
  BEGIN(GetAngularCurrent);
  memset(result, 0, sizeof *result);
  return OK;
}
int API(GetCartesianPosition)(CartesianPosition *result) {
  BEGIN(GetCartesianPosition);
  Arm *s = state();
  memcpy(result->c, s->pose, sizeof result->c);
  memcpy(result->f, s->fingers, sizeof result->f);
  return OK;
}
int API(GetCartesianForce)(CartesianPosition *result) {
  BEGIN(GetCartesianForce);
  memset(result, 0, sizeof *result);
  memcpy(result->c, state()->force, sizeof result->c);
  return OK;
}
int API(GetSensorsInfo)(SensorsInfo *info) {
  BEGIN(GetSensorsInfo);
  const float values[15] = {24.1f, 1.2f, 0, 0, 1, 31, 32, 31, 30, 30, 29, 0, 28, 28, 28};
  memcpy(info->v, values, sizeof values);
  return OK;
}
int API(GetQuickStatus)(QuickStatus *status) {
  BEGIN(GetQuickStatus);
  const uint8_t values[14] = {1, 1, 1, arm->at_home ? 1 : 5, 0, 0, arm->homing ? 5 : 3,
                              0, 0, 1, 0, (uint8_t)arm->robot_type, 0, 1};
  memcpy(status->v, values, sizeof values);
  return OK;
}
int API(GetControlType)(int *type) { BEGIN(GetControlType); *type = 0; return OK; }
int API(GetJoystickValue)(JoystickCommand *command) {
  BEGIN(GetJoystickValue);
  memset(command, 0, sizeof *command);
  if (arm->joystick) command->axes[0] = 0.8f;
  return OK;
}
static int blocking(uint32_t *asked, uint32_t *done) {
  uint32_t number = ++*asked;
  while ((int32_t)(*(volatile uint32_t *)done - number) < 0) {
    if (dead()) return GONE;
    rest(1000);
  }
  return OK;
}
int API(MoveHome)(void) { BEGIN(MoveHome); return blocking(&arm->homes, &arm->homes_done); }
int API(InitFingers)(void) {
  BEGIN(InitFingers);
  return blocking(&arm->finger_inits, &arm->finger_inits_done);
}
int API(SetTorqueZero)(int address) {
  BEGIN(SetTorqueZero);
  if (address < 16 || address > 22) return 2100;
  arm->torque_zeros++;
  return OK;
}
int API(SetGravityType)(int type) { (void)type; BEGIN(SetGravityType); return OK; }
int API(SetTorqueSafetyFactor)(float factor) {
  (void)factor;
  BEGIN(SetTorqueSafetyFactor);
  return OK;
}
int API(GetSystemErrorCount)(uint32_t *count) { BEGIN(GetSystemErrorCount); *count = 0; return OK; }
int API(GetSystemError)(uint32_t index, SystemError *error) {
  (void)index;
  BEGIN(GetSystemError);
  memset(error, 0, sizeof *error);
  return OK;
}
int API(ClearErrorLog)(void) { BEGIN(ClearErrorLog); return OK; }
