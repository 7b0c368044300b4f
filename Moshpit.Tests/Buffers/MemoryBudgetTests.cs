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

    [TestCase(true, false)]
    [TestCase(false, true)]
    public void While_the_excess_is_in_the_kernel_a_peer_that_may_be_reading_has_what_every_peer_may_have(bool reads, bool isNew)
    {
        MemoryBudget budget = WithStreamsBehind(51, Kernel);
        Assert.That(budget.IsExceeded);
        Assert.That(budget.MaySpare(BacklogLimit, reads, isNew));
        Assert.That(budget.MaySpare(BacklogLimit + 1, reads, isNew), Is.False);
        Assert.That(budget.MaySpare(0, reads: false, fellBehindJustNow: false), Is.False);
    }

    [Test]
    public void When_messages_alone_take_too_much_peers_that_are_not_seen_to_read_go_first()
    {
        MemoryBudget budget = WithStreamsBehind(200, kernelBytes: 0);
        const int Share = (int)Limit / 200;
        SharedFrame excess = _frames.Rent((int)Limit + 1);
        Assert.That(budget.MaySpare(Share + 1, reads: false, fellBehindJustNow: true), Is.False);
        Assert.That(budget.MaySpare(Share, reads: false, fellBehindJustNow: true));
        Assert.That(budget.MaySpare(Share, reads: false, fellBehindJustNow: false), Is.False);
        Assert.That(budget.MaySpare(BacklogLimit, reads: true, fellBehindJustNow: false));
        excess.Release();
    }

    [Test]
    public void When_messages_take_far_too_much_peers_that_read_may_have_an_even_share()
    {
        MemoryBudget budget = WithStreamsBehind(200, kernelBytes: 0);
        const int Share = (int)Limit / 200;
        SharedFrame excess = _frames.Rent((int)Limit * 5 / 4 + 1);
        Assert.That(budget.MaySpare(Share, reads: true, fellBehindJustNow: false));
        Assert.That(budget.MaySpare(Share + 1, reads: true, fellBehindJustNow: false), Is.False);
        excess.Release();
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
