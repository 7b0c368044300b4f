using Moshpit.Server.Buffers;

namespace Moshpit.Tests.Buffers;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class MemoryBudgetTests
{
    private const long Limit = 1000_000, BacklogLimit = 10_000, MaxBacklog = 400_000;
    private const int Kernel = 20_000;

    private readonly FramePool _frames = new();

    [TestCase(0, 400_000, TestName = "A single stream that is behind may have the most")]
    [TestCase(1, 400_000)]
    [TestCase(4, 250_000, TestName = "Several streams that are behind may have an even share")]
    [TestCase(49, 20_408)]
    public void The_allowance_is_an_even_share(int behind, long allowance)
    {
        MemoryBudget budget = WithStreamsBehind(behind, kernelBytes: 0);
        Assert.That(budget.Allowance, Is.EqualTo(allowance));
        Assert.That(budget.IsTooFarBehind(allowance, 0), Is.False);
        Assert.That(budget.IsTooFarBehind(allowance + 1, 0));
    }

    [Test]
    public void Every_stream_may_always_have_the_least_as_long_as_there_is_memory()
    {
        MemoryBudget budget = WithStreamsBehind(500, kernelBytes: 0);
        Assert.That(budget.Allowance, Is.EqualTo(BacklogLimit));
        Assert.That(budget.IsTooFarBehind(BacklogLimit, 0), Is.False);
    }

    [Test]
    public void When_all_together_have_too_much_those_with_more_than_an_even_share_are_too_far_behind()
    {
        MemoryBudget budget = WithStreamsBehind(10, kernelBytes: 0);
        SharedFrame frame = _frames.Rent((int)Limit + 1);
        Assert.That(budget.IsExceeded);
        Assert.That(budget.IsTooFarBehind(100_000, 0), Is.False);
        Assert.That(budget.IsTooFarBehind(100_001, 0));
        Assert.That(budget.IsTooFarBehind(90_000, 10_001), "what its socket holds counts too");
        frame.Release();
        Assert.That(budget.IsExceeded, Is.False);
    }

    [Test]
    public void What_the_kernel_may_hold_for_streams_that_are_behind_counts_until_they_are_not()
    {
        MemoryBudget budget = WithStreamsBehind(51, Kernel);
        Assert.That((budget.Used, budget.StreamsBehind, budget.IsExceeded), Is.EqualTo((51L * Kernel, 51, true)));
        Assert.That(budget.IsTooFarBehind(0, Kernel), "so many sockets alone take more than there is");
        for (int n = 0; n < 51; n++)
            budget.Leave(Kernel);
        Assert.That((budget.Used, budget.StreamsBehind, budget.IsExceeded), Is.EqualTo((0L, 0, false)));
    }

    [Test]
    public void A_peer_that_reads_may_be_spared_while_the_excess_is_in_the_kernel_and_it_has_no_more_than_every_peer_may()
    {
        MemoryBudget budget = WithStreamsBehind(51, Kernel);
        Assert.That(budget.IsExceeded);
        Assert.That(budget.MaySpareReader(BacklogLimit));
        Assert.That(budget.MaySpareReader(BacklogLimit + 1), Is.False);
        SharedFrame frame = _frames.Rent((int)Limit + 1);
        Assert.That(budget.MaySpareReader(0), Is.False, "messages alone take too much");
        frame.Release();
    }

    [Test]
    public void The_limit_is_an_eighth_of_the_memory_that_there_is()
    {
        long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        Assert.That(available, Is.Positive);
        Assert.That(MemoryBudget.DefaultLimit(), Is.EqualTo(Math.Clamp(available / 8, 16L << 20, 4L << 30)));
    }

    private MemoryBudget WithStreamsBehind(int streams, int kernelBytes)
    {
        var budget = new MemoryBudget(_frames, Limit, BacklogLimit, MaxBacklog);
        for (int n = 0; n < streams; n++)
            budget.Enter(kernelBytes);
        return budget;
    }
}
