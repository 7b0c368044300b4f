namespace Moshpit.Tests.Client;

public class EventQueueTests
{
    [Test]
    public async Task A_stream_that_adds_beyond_the_capacity_waits_until_enough_is_taken()
    {
        var queue = new EventQueue(200);
        Assert.That(queue.AddAsync([Event(1), Event(2)]).IsCompleted, Is.True);
        Task full = queue.AddAsync([Event(3), Event(4)]);
        Assert.That(full.IsCompleted, Is.False);
        await queue.TakeAsync(default);
        Assert.That(full.IsCompleted, Is.False);
        await queue.TakeAsync(default);
        await full.Soon();
        Assert.That((await queue.TakeAsync(default))!.Data, Has.Length.EqualTo(3));
    }

    [Test]
    public async Task Everything_that_an_event_holds_counts()
    {
        var queue = new EventQueue(3000);
        Assert.That(queue.AddAsync([new MoshpitEvent("signal", "1", new string('x', 2000))]).IsCompleted, Is.True);
        Task full = queue.AddAsync([new MoshpitEvent("signal", "1", new string('x', 2000))]);
        Assert.That(full.IsCompleted, Is.False);
        await queue.TakeAsync(default);
        await full.Soon();

        var joins = new EventQueue(6000);
        var join = new MoshpitEvent("join", $"{{\"id\":\"{new string('i', 1500)}\",\"cid\":\"{new string('c', 1000)}\"}}", "");
        Assert.That(joins.AddAsync([join]).IsCompleted, Is.True);
        Assert.That(joins.AddAsync([join]).IsCompleted, Is.False, "of its data, 2,500 characters are there twice");
    }

    [Test]
    public async Task The_end_lets_the_adding_side_go_on()
    {
        var ended = new EventQueue(1);
        Task full = ended.AddAsync([Event(1)]);
        ended.End(null, drop: true);
        await full.Soon();
        Assert.That(await ended.TakeAsync(default), Is.Null);
    }

    [Test]
    public async Task A_failure_comes_after_what_came_before_it_unless_that_is_dropped()
    {
        var failure = new IOException("lost");
        var queue = new EventQueue(1000);
        await queue.AddAsync([Event(1)]);
        queue.End(failure, drop: false);
        queue.End(null, drop: false);
        Assert.That(await queue.TakeAsync(default), Is.Not.Null);
        Assert.That(await Assert.ThrowsAsync<IOException>(() => queue.TakeAsync(default).AsTask()), Is.SameAs(failure));

        var dropped = new EventQueue(1000);
        await dropped.AddAsync([Event(1)]);
        dropped.End(failure, drop: true);
        Assert.That(await Assert.ThrowsAsync<IOException>(() => dropped.TakeAsync(default).AsTask()), Is.SameAs(failure));
    }

    [Test]
    public async Task What_drops_events_after_the_end_is_the_end_so_that_no_reader_takes_it_for_complete()
    {
        var canceled = new OperationCanceledException();
        var queue = new EventQueue(1000);
        await queue.AddAsync([Event(1)]);
        queue.End(null, drop: false);
        queue.End(canceled, drop: true);
        Assert.That(await Assert.ThrowsAsync<OperationCanceledException>(() => queue.TakeAsync(default).AsTask()), Is.SameAs(canceled));

        var complete = new EventQueue(1000);
        complete.End(null, drop: false);
        complete.End(canceled, drop: true);
        Assert.That(await complete.TakeAsync(default), Is.Null);
    }

    // 70 characters and as many as its number says: the queue counts 64 for the objects.
    private static MoshpitEvent Event(int length) => new("signal", new string('x', length), "");
}
