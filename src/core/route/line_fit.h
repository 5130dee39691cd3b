// Line fit: y = intercept + slope * x through the recent observations of an engine, as decayed sums
// that any shard may add to, and a fast factor for an engine that changes its speed. Two shards
// adding at once may lose one observation.
//
// The line keeps about kLineMemory observations. With them all alike in x a line is not determined;
// then the intercept is a given share of y. The factor compares the last few observations with the
// line; inside +-kCalm it is noise and counts as 1, beyond that the line is scaled by what exceeds
// it. So one odd observation does little, and an engine at half its speed is seen as such after a
// few.
#pragma once

#include "core/model/load_table.h"

namespace infermesh::route {

struct Line {
  double intercept = 0;
  double slope = 0;

  double at(double x) const { return intercept + slope * x; }
};

constexpr double kLineMemory = 40;   // observations
constexpr double kFactorMemory = 8;  // observations
constexpr double kCalm = 0.3;

// `level_share`: the intercept's share of y when the observations do not tell. Zero line: nothing
// observed.
Line fit_line(const LineSums& sums, double level_share);

// Observed over expected of the last few, 1 inside the calm range.
double pace_factor(const LineSums& sums);

// Adds an observation; y is limited to kOutlier times what was expected.
void observe(LineSums& sums, double x, double y, double level_share);

// The same for things that may end together: one that takes next to no time after the one before
// was done with it, and adds its x to that one's. So an observation waits for the next to begin.
// The first few do not wait. False while nothing was added to the line.
bool observe_batch(LineSums& sums, double x, double y, double level_share);
constexpr double kSameBatch = 0.1;       // of the time expected; less is next to none
constexpr std::int32_t kMergedMax = 32;  // in one batch
constexpr double kObservedAtOnce = 3;
constexpr double kOutlier = 6;

}  // namespace infermesh::route
