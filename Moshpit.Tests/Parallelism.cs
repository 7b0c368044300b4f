// Most tests wait most of the time: for a peer, for a program or for a timeout. With one worker for each of two processors, both
// processors are often idle. Tests that measure the process are not parallel, so the number of workers does not matter to them.
[assembly: LevelOfParallelism(4)]
